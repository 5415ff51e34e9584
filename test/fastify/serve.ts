import type { AddressInfo } from 'node:net'
import createFastify from 'fastify'
import { requireToken } from '../../src/fastify/index.ts'
import type { Serve } from '../http/middleware-suite.ts'

/** Serves the suite's guarded route with Fastify, the guard as one hook or the other. */
export function serveAs(hook: 'onRequest' | 'preHandler'): Serve {
  return async (route) => {
    const app = createFastify({
      ...(route.trustProxy === undefined ? {} : { trustProxy: route.trustProxy }),
      forceCloseConnections: true,
    })
    app.addHook('onRequest', async (_request, reply) => {
      reply.header('Vary', 'Origin')
    })
    const guard = requireToken(route.tokens, {
      ...route.options,
      onDenied: (_request, reply, refused) => {
        if (route.throwOnDenied !== undefined) throw route.throwOnDenied
        route.onRefused?.(refused)
        if (route.teapot === true) reply.code(418).type('text/plain').send(refused.code)
      },
    })
    app.all('/orders', { [hook]: guard }, async (request, reply) => {
      if (route.hang !== undefined) {
        route.hang()
        return new Promise(() => undefined)
      }
      reply.code(route.status ?? 200)
      return { service: request.token?.token.service, url: request.originalUrl, query: request.query }
    })
    await app.listen({ port: 0, host: '127.0.0.1' })
    return { port: (app.server.address() as AddressInfo).port, close: async () => app.close() }
  }
}
