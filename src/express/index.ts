/**
 * A middleware for Express 5 and 4.18 and newer.
 *
 * @example
 * ```ts
 * import express from 'express'
 * import { requireToken } from 'tokenwright/express'
 *
 * const app = express()
 * app.get('/orders', requireToken(tokens, { scopes: ['orders:read'] }), (req, res) => {
 *   res.json({ caller: req.token?.token.service })
 * })
 * app.listen(3000)
 * ```
 *
 * Behind a proxy, tell Express which ones to believe: `app.set('trust proxy', 'loopback')`, or the number of proxies, or their networks.
 * IP rules, the request log and `requireHttps` then see the client. `trust proxy: true` believes whatever the client writes
 * into X-Forwarded-For: never use it where an IP rule matters.
 * @packageDocumentation
 */
export { type RequireTokenOptions, requireToken, type TokenMiddleware } from './require-token.ts'
