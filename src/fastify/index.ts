/**
 * A hook for Fastify 5.
 *
 * @example
 * ```ts
 * import Fastify from 'fastify'
 * import { requireToken } from 'tokenwright/fastify'
 *
 * const fastify = Fastify()
 * fastify.get('/orders', { onRequest: requireToken(tokens, { scopes: ['orders:read'] }) }, async (request) => {
 *   return { caller: request.token?.token.service }
 * })
 * await fastify.listen({ port: 3000 })
 * ```
 *
 * Behind a proxy, tell Fastify which ones to believe: `Fastify({ trustProxy: '10.0.0.0/8' })` or the number of proxies. IP rules, the
 * request log and `requireHttps` then see the client. `trustProxy: true` believes whatever the client writes into X-Forwarded-For:
 * never use it where an IP rule matters. Fastify before 5.8.3 believed X-Forwarded-Proto of anyone (CVE-2026-3635).
 * @packageDocumentation
 */
export { type RequireTokenOptions, requireToken } from './require-token.ts'
