import { InvalidInputError } from '../kernel/errors.ts'
import {
  DENIAL_MESSAGE,
  DENIAL_STATUS,
  type Denied,
  type Verified,
  type VerifyContext,
} from '../tokens/verification.ts'
import { HttpCall, type TokenService } from './call.ts'
import { challenge, type Refused } from './challenge.ts'
import { readCredentials, readQueryToken } from './credentials.ts'
import { deprecationHeaders } from './deprecation.ts'
import { type AuthenticateOptions, checkOptions } from './options.ts'
import { PROBLEM_CONTENT_TYPE, problemDetails, retryAfterSeconds } from './problem.ts'
import { rateLimit, rateLimitPolicy } from './rate-headers.ts'
import { type HttpRequest, isPreflight, rawHeadersOf } from './request.ts'

/** Names and values of headers to set on the response. `Vary` is to be added to what the response has, not to replace it. */
export type ResponseHeaders = readonly [name: string, value: string][]

/** The request goes on without a token: a CORS preflight, or no credentials where they are optional. */
export interface HttpPass {
  readonly kind: 'pass'
  readonly headers: ResponseHeaders
}

/** The token is good for the request. */
export interface HttpAccepted {
  readonly kind: 'ok'
  readonly verified: Verified
  readonly headers: ResponseHeaders
  /** To be finished when the response ends; absent when nobody records outcomes. */
  readonly call: HttpCall | undefined
}

/** The request is refused, and this is the answer. */
export interface HttpRefusal {
  readonly kind: 'denied'
  readonly refused: Refused
  readonly status: Refused['status']
  /** Without Content-Type, so that a host can keep them with a body of its own. */
  readonly headers: ResponseHeaders
  /** `application/problem+json` */
  readonly contentType: string
  /** {@link ProblemDetails} as JSON text. */
  readonly body: string
  /** To be finished when the response ends; absent when no token was verified or nobody records outcomes. */
  readonly call: HttpCall | undefined
}

/** What is to be done with a request. */
export type HttpDecision = HttpPass | HttpAccepted | HttpRefusal

type Mutable<T> = { -readonly [key in keyof T]: T[key] }

const PREFLIGHT: HttpPass = Object.freeze({ kind: 'pass', headers: [] })

const INSECURE: Denied = Object.freeze({
  ok: false,
  code: 'insecure_transport',
  status: DENIAL_STATUS.insecure_transport,
  message: DENIAL_MESSAGE.insecure_transport,
})

/**
 * All HTTP rules around one verification, free of any framework: where the token is read from, what is asked of it,
 * and what the answer says. `tokenwright/express` and `tokenwright/fastify` are thin over it; use it for another framework.
 *
 * - Credentials: `Authorization: Bearer` (RFC 6750) or a header such as `X-API-Key`; never a cookie. Repeated headers and two ways at
 *   once are refused with 400.
 * - Refusals carry a challenge (RFC 6750), problem details (RFC 9457) and `Cache-Control: no-store`.
 * - Limits are told in RateLimit-Policy and RateLimit (IETF draft 11) on good answers and on 429; Retry-After on 429 and 503.
 * - A superseded version is told by Deprecation (RFC 9745) and Sunset (RFC 8594).
 * - Good answers vary by the headers that may hold the token, so that no shared cache hands one client's answer to another.
 *
 * @typeParam Req - the framework's request, which functions among the options get
 * @example
 * ```ts
 * const authenticator = new Authenticator<Request>(tokens, { scopes: ['orders:read'] })
 * const decision = await authenticator.authenticate({ method, headers, ip, url }, request)
 * if (decision.kind === 'denied') return new Response(decision.body, { status: decision.status, headers: [...decision.headers] })
 * ```
 */
export class Authenticator<Req> {
  readonly #tokens: TokenService
  readonly #options: AuthenticateOptions<Req>
  readonly #apiKeyHeaders: readonly string[]
  readonly #realm: string
  readonly #scopes: readonly string[]
  readonly #asksHost: boolean
  readonly #vary: [string, string]
  readonly #pass: HttpPass

  /**
   * @param tokens - a `Tokenwright`, or what does its part
   * @param options - what the route asks
   * @param others - names of options that the caller itself knows
   * @throws InvalidInputError for an option that can't be used or doesn't exist
   */
  constructor(tokens: TokenService, options: AuthenticateOptions<Req> = {}, others: readonly string[] = []) {
    if (typeof tokens?.verify !== 'function' || typeof tokens.clock?.monotonic !== 'function') {
      throw new InvalidInputError('tokens', 'is not a Tokenwright', 'give the Tokenwright that issues the tokens')
    }
    checkOptions(options, others)
    const { headers = ['X-API-Key'], realm = 'api', scopes = [] } = options
    this.#tokens = tokens
    this.#options = { ...options }
    this.#apiKeyHeaders = [...new Set(headers.map((name) => name.toLowerCase()))]
    this.#realm = realm
    this.#scopes = Object.freeze([...scopes])
    const { tool, args, cost, approval, caller } = options
    this.#asksHost = [tool, args, cost, approval, caller].some((option) => typeof option === 'function')
    this.#vary = ['Vary', ['Authorization', ...headers].join(', ')]
    this.#pass = Object.freeze({ kind: 'pass', headers: [this.#vary] })
  }

  /**
   * Decides on a request.
   *
   * @param request - what the rules look at
   * @param host - the framework's request, for functions among the options
   * @throws what a function among the options throws, and what broken infrastructure makes `verify` throw
   */
  async authenticate(request: HttpRequest, host: Req): Promise<HttpDecision> {
    const options = this.#options
    const rawHeaders = rawHeadersOf(request)
    if (request.method === 'OPTIONS' && options.preflight !== false && isPreflight(rawHeaders)) return PREFLIGHT
    if (options.requireHttps === true && request.protocol !== 'https') return this.#refuse(INSECURE, undefined)

    let presented = readCredentials(rawHeaders, this.#apiKeyHeaders)
    let fromQuery = false
    if (presented === undefined && options.query !== undefined && request.url !== undefined) {
      presented = readQueryToken(request.url, options.query)
      fromQuery = presented !== undefined
    }
    if (typeof presented === 'object') return this.#refuse(presented, undefined)
    if (presented === undefined && options.optional === true) return this.#pass

    const startedAt = this.#tokens.clock.monotonic()
    const ip = options.trustedIp === undefined ? request.ip : options.trustedIp(host)
    let context: VerifyContext
    // A request without credentials is verified too, so that it is counted like any other; no function is asked for it.
    if (presented === undefined) context = { ip, finishLater: this.#records }
    else if (this.#asksHost) context = await this.#askHost(request.method, ip, host)
    else context = this.#context(request.method, ip)
    const verification = await this.#tokens.verify(presented, context)
    const call = this.#records ? new HttpCall(this.#tokens, verification, startedAt, ip, context.caller) : undefined
    return verification.ok ? this.#accept(verification, fromQuery, call) : this.#refuse(verification, call)
  }

  get #records(): boolean {
    return this.#tokens.usage !== undefined
  }

  /** What is asked of the token when no function of the host has a say. */
  #context(method: string, ip: string | undefined): Mutable<VerifyContext> {
    const { accept, tool, args, cost, caller, level } = this.#options
    return {
      accept,
      ip,
      scopes: this.#scopes,
      level: level ?? (method === 'GET' || method === 'HEAD' ? 'read_only' : 'standard'),
      tool: typeof tool === 'function' ? undefined : tool,
      args: typeof args === 'function' ? undefined : args,
      cost: typeof cost === 'function' ? undefined : cost,
      approval: undefined,
      caller: typeof caller === 'function' ? undefined : caller,
      finishLater: this.#records,
    }
  }

  async #askHost(method: string, ip: string | undefined, host: Req): Promise<VerifyContext> {
    const { tool, args, cost, approval, caller } = this.#options
    const context = this.#context(method, ip)
    if (typeof tool === 'function') context.tool = await tool(host)
    if (typeof args === 'function') context.args = await args(host)
    if (typeof cost === 'function') context.cost = await cost(host)
    if (approval !== undefined) context.approval = await approval(host)
    if (typeof caller === 'function') context.caller = await caller(host)
    return context
  }

  #accept(verified: Verified, fromQuery: boolean, call: HttpCall | undefined): HttpAccepted {
    const headers: [string, string][] = [this.#vary]
    const { limits } = verified
    if (limits.length > 0) {
      headers.push(['RateLimit-Policy', rateLimitPolicy(limits)], ['RateLimit', rateLimit(limits)])
    }
    const { deprecation, sunset } = deprecationHeaders(verified)
    if (deprecation !== undefined) headers.push(['Deprecation', deprecation])
    if (sunset !== undefined) headers.push(['Sunset', sunset])
    // The token is in the address of what is answered: keep it out of shared caches and of Referer headers.
    if (fromQuery) headers.push(['Cache-Control', 'private'], ['Referrer-Policy', 'no-referrer'])
    return { kind: 'ok', verified, headers, call }
  }

  #refuse(refused: Refused, call: HttpCall | undefined): HttpRefusal {
    const headers: [string, string][] = [['Cache-Control', 'no-store']]
    const authenticate = challenge(this.#realm, refused, this.#scopes)
    if (authenticate !== undefined) headers.push(['WWW-Authenticate', authenticate])
    const retryAfter = retryAfterSeconds(refused)
    if (retryAfter !== undefined) headers.push(['Retry-After', String(retryAfter)])
    if (refused.status === 429 && refused.limits !== undefined && refused.limits.length > 0) {
      headers.push(['RateLimit-Policy', rateLimitPolicy(refused.limits)], ['RateLimit', rateLimit(refused.limits)])
    }
    const body = JSON.stringify(problemDetails(refused, retryAfter))
    return { kind: 'denied', refused, status: refused.status, headers, contentType: PROBLEM_CONTENT_TYPE, body, call }
  }
}
