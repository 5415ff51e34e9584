import express, { type Express } from 'express'
import type { Tokenwright } from 'tokenwright'
import { requireToken } from 'tokenwright/express'

/** The application under test: it takes its tokens as an argument, so a test can hand it tokens with a clock of its own. */
export function createApp(tokens: Tokenwright): Express {
  const app = express()
  app.get('/orders', requireToken(tokens, { scopes: ['orders:read'] }), (_req, res) => {
    res.json({ orders: [] })
  })
  return app
}
