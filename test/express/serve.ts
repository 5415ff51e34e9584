import type { AddressInfo } from 'node:net'
import type express from 'express'
import { requireToken } from '../../src/express/index.ts'
import type { Serve } from '../http/middleware-suite.ts'

/** Serves the suite's guarded route with an Express, 4 or 5. */
export function serveWith(createApp: typeof express): Serve {
  return async (route) => {
    const app = createApp()
    if (route.trustProxy !== undefined) app.set('trust proxy', route.trustProxy)
    app.use((_req, res, next) => {
      res.setHeader('Vary', 'Origin')
      next()
    })
    const guard = requireToken(route.tokens, {
      ...route.options,
      onDenied: (_req, res, refused) => {
        if (route.throwOnDenied !== undefined) throw route.throwOnDenied
        route.onRefused?.(refused)
        if (route.teapot === true) res.status(418).type('text/plain').send(refused.code)
      },
    })
    const handler: express.RequestHandler = (req, res) => {
      if (route.hang !== undefined) route.hang()
      else
        res
          .status(route.status ?? 200)
          .json({ service: req.token?.token.service, url: req.originalUrl, query: req.query })
    }
    // A second route for the same path: whoever is let out of the first by next('route') arrives here.
    app.all('/orders', guard, handler)
    app.all('/orders', handler)
    app.use(((_error, _req, res, _next) => {
      if (res.statusCode < 400) res.status(500)
      res.json({ failed: true })
    }) as express.ErrorRequestHandler)
    const server = await new Promise<import('node:http').Server>((resolve) => {
      const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
    })
    return {
      port: (server.address() as AddressInfo).port,
      close: () =>
        new Promise((resolve) => {
          server.close(() => resolve())
          server.closeAllConnections()
        }),
    }
  }
}
