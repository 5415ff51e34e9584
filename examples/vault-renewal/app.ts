import express, { type Express } from 'express'
import type { VaultTokenManager } from 'tokenwright/vault'

/** An Express app that reads a secret by the manager's token, and tells how that is kept. */
export function createApp(manager: VaultTokenManager): Express {
  const app = express()
  app.get('/secret', async (_req, res) => {
    const body = await manager.withToken((_token, vault) => vault.read('cubbyhole/greeting').catch(missing))
    res.json({ found: body !== undefined })
  })
  app.get('/health/vault', (_req, res) => {
    const health = manager.health()
    const { state, ttlMs, renewalCount, consecutiveFailures, nextRenewalAt } = manager.status()
    res.status(health.status === 'unhealthy' ? 503 : 200)
    res.json({ ...health, state, ttlMs, renewalCount, consecutiveFailures, nextRenewalAt })
  })
  app.get('/metrics', (_req, res) => {
    res.type('text/plain; version=0.0.4').send(manager.metrics())
  })
  return app
}

/** A secret that isn't there is no failure of the token. */
function missing(error: { readonly response?: { readonly statusCode?: number } }): undefined {
  if (error.response?.statusCode !== 404) throw error
}
