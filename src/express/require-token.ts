import type { IncomingMessage, ServerResponse } from 'node:http'
import type { NextFunction, Request, Response } from 'express'
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
import { InvalidInputError } from '../kernel/errors.ts'
import type { Verified } from '../tokens/verification.ts'

declare global {
  // The types of Express let others add to its Request by this namespace.
  namespace Express {
    interface Request {
      /** The good verification of the request's token; undefined before `requireToken`, on a preflight, and where it is optional and absent. */
      token?: Verified | undefined
    }
  }
}

/** Options of {@link requireToken}. */
export interface RequireTokenOptions extends AuthenticateOptions<Request> {
  /**
   * Called with a refusal, whose status and headers (challenge, Retry-After) are set already. It may answer itself, with a body of its own;
   * if it doesn't, problem details are sent. An async one is awaited. What it throws goes to `next(error)`.
   */
  readonly onDenied?: ((req: Request, res: Response, refused: Refused) => unknown) | undefined
}

/**
 * The middleware that {@link requireToken} makes. Its parameters are wider than Express's own, so that a route's handlers still infer
 * `req.params` from the path.
 */
export type TokenMiddleware = (req: IncomingMessage & Express.Request, res: ServerResponse, next: NextFunction) => void

/**
 * A middleware that lets a request pass only with a token that is good for it, and puts the verification on `req.token`.
 * The headers, the order of checks and the answers are those of {@link Authenticator}.
 *
 * - The client's address is `req.ip`, and `requireHttps` looks at `req.protocol`; both follow Express's `trust proxy`.
 * - Functions among the options get Express's request. Put `express.json()` before the middleware if they look at the body.
 * - When the response ends, its status and duration are recorded in `tokens.usage`.
 * - Errors of infrastructure, and of the host's own functions, go to `next(error)`; the request doesn't pass.
 * - Each middleware on the way of a request is one call of the token: it takes units and is counted. Give one of two `cost: 0`.
 *
 * @param tokens - the `Tokenwright` that issues the tokens
 * @param options - what the route asks
 * @throws InvalidInputError at once, for an option that can't be used or doesn't exist
 * @example
 * ```ts
 * app.post('/tools/:tool', express.json(), requireToken(tokens, {
 *   tool: (req) => req.params.tool,
 *   args: (req) => req.body,
 *   onDenied: (req, res, refused) => res.json({ error: refused.code }),
 * }), runTool)
 * ```
 */
export function requireToken(tokens: TokenService, options: RequireTokenOptions = {}): TokenMiddleware {
  const authenticator = new Authenticator<Request>(tokens, options, ['onDenied'])
  const { onDenied, query } = options
  if (onDenied !== undefined && typeof onDenied !== 'function') {
    throw new InvalidInputError('onDenied', 'is not a function', 'give a function of request, response and refusal')
  }

  async function refuse(req: Request, res: Response, refusal: HttpRefusal): Promise<void> {
    // Someone else answered meanwhile, a timeout perhaps: the request ends there.
    if (res.headersSent) return
    res.statusCode = refusal.status
    setHeaders(res, refusal.headers)
    if (onDenied !== undefined) await onDenied(req, res, refusal.refused)
    if (res.headersSent || res.writableEnded) return
    res.setHeader('Content-Type', refusal.contentType)
    res.end(refusal.body)
  }

  function admit(req: Request, res: Response, decision: HttpPass | HttpAccepted): void {
    req.token = decision.kind === 'ok' ? decision.verified : undefined
    if (!res.headersSent) setHeaders(res, decision.headers)
  }

  return function requireToken(request, response, next): void {
    // Express hands over its own request and response, whatever the types of the route.
    const req = request as Request
    const res = response as Response
    const fail = (thrown: unknown): void => next(asError(thrown))
    // One promise for a request that passes, and none of our own: this runs for each of them.
    authenticator.authenticate(req, req).then((decision) => {
      try {
        if (decision.kind !== 'pass' && decision.call !== undefined) finishWith(res, decision.call)
        if (decision.kind === 'denied') {
          refuse(req, res, decision).catch(fail)
          return
        }
        admit(req, res, decision)
      } catch (thrown) {
        fail(thrown)
        return
      }
      next()
    }, fail)
    if (query !== undefined) stripFrom(req, query)
  }
}

function setHeaders(res: Response, headers: ResponseHeaders): void {
  for (let i = 0; i < headers.length; i++) {
    const [name, value] = headers[i] as ResponseHeaders[number]
    const before = name === 'Vary' ? res.getHeader(name) : undefined
    res.setHeader(name, before === undefined ? value : `${String(before)}, ${value}`)
  }
}

function finishWith(res: Response, call: HttpCall): void {
  const finish = () => call.finish(res.writableEnded ? res.statusCode : CLIENT_CLOSED_REQUEST)
  if (res.destroyed) finish()
  else res.on('close', finish)
}

/** Removes the token from what loggers and handlers see of the URL. Express 4 parses the query beforehand, 5 on demand. */
function stripFrom(req: Request, name: string): void {
  const { query } = req
  if (typeof query === 'object' && query !== null) Reflect.deleteProperty(query, name)
  req.url = stripQueryToken(req.url, name)
  req.originalUrl = stripQueryToken(req.originalUrl, name)
}
