import type { FastifyReply, FastifyRequest } from 'fastify'
import {
  Authenticator,
  type HttpAccepted,
  type HttpPass,
  type HttpRefusal,
  type ResponseHeaders,
} from '../http/authenticate.ts'
import { CLIENT_CLOSED_REQUEST, type HttpCall, type TokenService } from '../http/call.ts'
import type { Refused } from '../http/challenge.ts'
import { stripQueryToken } from '../http/credentials.ts'
import { asError } from '../http/errors.ts'
import type { AuthenticateOptions } from '../http/options.ts'
import type { HttpRequest } from '../http/request.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { Verified } from '../tokens/verification.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The good verification of the request's token; undefined before `requireToken`, on a preflight, and where it is optional and absent. */
    token?: Verified | undefined
  }
}

/** Options of {@link requireToken}. */
export interface RequireTokenOptions extends AuthenticateOptions<FastifyRequest> {
  /**
   * Called with a refusal, whose status and headers (challenge, Retry-After) are set already. It may answer itself, with a body of its own;
   * if it doesn't, problem details are sent. An async one is awaited. What it throws goes to Fastify's error handler.
   */
  readonly onDenied?: ((request: FastifyRequest, reply: FastifyReply, refused: Refused) => unknown) | undefined
}

/**
 * A hook that lets a request pass only with a token that is good for it, and puts the verification on `request.token`. The
 * headers, the order of checks and the answers are those of {@link Authenticator}.
 *
 * - Use it as `onRequest`, of a route or (`fastify.addHook`) of everything in its scope; it needs no plugin. Use it as `preHandler` when
 *   functions among the options look at the body or at the validated query and parameters, which come later than `onRequest`.
 * - The client's address is `request.ip`, and `requireHttps` looks at `request.protocol`; both follow Fastify's `trustProxy`.
 * - When the response ends, its status and duration are recorded in `tokens.usage`.
 * - Errors of infrastructure, and of the host's own functions, go to Fastify's error handler; the request doesn't pass.
 * - Each hook on the way of a request is one call of the token: it takes units and is counted. Give one of two `cost: 0`.
 *
 * @param tokens - the `Tokenwright` that issues the tokens
 * @param options - what the route asks
 * @throws InvalidInputError at once, for an option that can't be used or doesn't exist
 * @example
 * ```ts
 * fastify.post('/tools/:tool', {
 *   preHandler: requireToken(tokens, {
 *     tool: (request) => (request.params as { tool: string }).tool,
 *     args: (request) => request.body as Record<string, unknown>,
 *   }),
 * }, runTool)
 * ```
 */
export function requireToken(
  tokens: TokenService,
  options: RequireTokenOptions = {},
): (request: FastifyRequest, reply: FastifyReply, done: (error?: Error) => void) => void {
  const authenticator = new Authenticator<FastifyRequest>(tokens, options, ['onDenied'])
  const { onDenied, query } = options
  if (onDenied !== undefined && typeof onDenied !== 'function') {
    throw new InvalidInputError('onDenied', 'is not a function', 'give a function of request, reply and refusal')
  }

  async function refuse(request: FastifyRequest, reply: FastifyReply, refusal: HttpRefusal): Promise<void> {
    // Someone else answered meanwhile, a timeout perhaps: the request ends there.
    if (reply.sent) return
    reply.code(refusal.status)
    setHeaders(reply, refusal.headers)
    if (onDenied !== undefined) await onDenied(request, reply, refusal.refused)
    if (reply.sent || reply.raw.headersSent) return
    reply.header('Content-Type', refusal.contentType).send(refusal.body)
  }

  function admit(request: FastifyRequest, reply: FastifyReply, decision: HttpPass | HttpAccepted): void {
    request.token = decision.kind === 'ok' ? decision.verified : undefined
    if (!reply.raw.headersSent) setHeaders(reply, decision.headers)
  }

  return function requireToken(request, reply, done): void {
    const fail = (thrown: unknown): void => done(asError(thrown))
    // One promise for a request that passes, and none of our own: this runs for each of them.
    authenticator.authenticate(new RequestFacts(request), request).then((decision) => {
      try {
        if (decision.kind !== 'pass' && decision.call !== undefined) finishWith(reply, decision.call)
        if (decision.kind === 'denied') {
          refuse(request, reply, decision).catch(fail)
          return
        }
        admit(request, reply, decision)
      } catch (thrown) {
        fail(thrown)
        return
      }
      done()
    }, fail)
    if (query !== undefined) stripFrom(request, query)
  }
}

/** What the HTTP rules look at. Address and protocol are computed by Fastify when read. */
class RequestFacts implements HttpRequest {
  readonly #request: FastifyRequest

  constructor(request: FastifyRequest) {
    this.#request = request
  }

  get method(): string {
    return this.#request.method
  }

  get headers() {
    return this.#request.headers
  }

  get rawHeaders(): readonly string[] | undefined {
    return this.#request.raw.rawHeaders
  }

  get ip(): string | undefined {
    return this.#request.ip
  }

  get protocol(): string {
    return this.#request.protocol
  }

  get url(): string {
    return this.#request.url
  }
}

function setHeaders(reply: FastifyReply, headers: ResponseHeaders): void {
  for (let i = 0; i < headers.length; i++) {
    const [name, value] = headers[i] as ResponseHeaders[number]
    const before = name === 'Vary' ? reply.getHeader(name) : undefined
    reply.header(name, before === undefined ? value : `${String(before)}, ${value}`)
  }
}

function finishWith(reply: FastifyReply, call: HttpCall): void {
  const { raw } = reply
  const finish = () => call.finish(raw.writableEnded ? raw.statusCode : CLIENT_CLOSED_REQUEST)
  if (raw.destroyed) finish()
  else raw.on('close', finish)
}

/** Removes the token from what handlers and later log lines see of the URL. */
function stripFrom(request: FastifyRequest, name: string): void {
  const { query, raw } = request
  if (typeof query === 'object' && query !== null) Reflect.deleteProperty(query, name)
  if (raw.url !== undefined) raw.url = stripQueryToken(raw.url, name)
}
