/**
 * The HTTP rules around a verification, free of any framework. For Express and Fastify there are ready middlewares in
 * `tokenwright/express` and `tokenwright/fastify`; this entry is for every other server.
 *
 * @example
 * ```ts
 * import { createServer } from 'node:http'
 * import { Authenticator } from 'tokenwright/http'
 *
 * const authenticator = new Authenticator(tokens, { scopes: ['orders:read'] })
 * createServer(async (req, res) => {
 *   const ip = req.socket.remoteAddress
 *   const { method = 'GET', headers, rawHeaders, url } = req
 *   const decision = await authenticator.authenticate({ method, headers, rawHeaders, ip, url }, req)
 *   for (const [name, value] of decision.headers) res.setHeader(name, value)
 *   if (decision.kind === 'denied') {
 *     res.writeHead(decision.status, { 'Content-Type': decision.contentType }).end(decision.body)
 *   } else {
 *     res.end('hello')
 *   }
 *   if (decision.kind !== 'pass') res.once('close', () => decision.call?.finish(res.statusCode))
 * })
 * ```
 * @packageDocumentation
 */

export type { CallOutcome } from '../usage/usage-tracker.ts'
export {
  Authenticator,
  type HttpAccepted,
  type HttpDecision,
  type HttpPass,
  type HttpRefusal,
  type ResponseHeaders,
} from './authenticate.ts'
export { type CallRecorder, CLIENT_CLOSED_REQUEST, HttpCall, type TokenService } from './call.ts'
export { challenge, type Refused } from './challenge.ts'
export { type InvalidRequest, readCredentials, readQueryToken, stripQueryToken } from './credentials.ts'
export { type DeprecationHeaders, deprecationHeaders } from './deprecation.ts'
export { asError, CallbackError, type HttpErrorCode } from './errors.ts'
export type { AuthenticateOptions, FromRequest, ToolArguments } from './options.ts'
export { PROBLEM_CONTENT_TYPE, type ProblemDetails, problemDetails, retryAfterSeconds } from './problem.ts'
export { rateLimit, rateLimitPolicy } from './rate-headers.ts'
export type { HeaderValues, HttpRequest } from './request.ts'
