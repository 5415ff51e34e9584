/** A request as it comes in, whatever carried it. */
export interface SimulatedRequest {
  readonly method: string
  /** Below `/client/v4`. */
  readonly path: string
  readonly query: URLSearchParams
  /** Names in lower case. */
  readonly headers: { readonly [name: string]: string | undefined }
  readonly body: string
}

/** What goes out. */
export interface SimulatedAnswer {
  readonly status: number
  readonly headers: { readonly [name: string]: string }
  readonly body: string
  /** What becomes of the connection instead: nothing is sent, or it is torn down. */
  readonly connection?: 'hang' | 'reset'
}

/** On every answer of the real API. */
const RATE = { Ratelimit: '"default";r=1150;t=240', 'Ratelimit-Policy': '"default";q=1200;w=300' }

/** An answer in JSON. */
export function json(status: number, body: object): SimulatedAnswer {
  return { status, headers: { 'content-type': 'application/json', ...RATE }, body: JSON.stringify(body) }
}

/** Good. */
export function good(result: unknown, extra: object = {}): SimulatedAnswer {
  return json(200, { success: true, errors: [], messages: [], result, ...extra })
}

/** No, with the pair that says why. */
export function bad(status: number, code: number, message: string, more: object = {}): SimulatedAnswer {
  return json(status, { success: false, errors: [{ code, message, ...more }], messages: [], result: null })
}

/** A credential that isn't known, or not here (K1, K2). */
export const invalidToken = (): SimulatedAnswer => bad(401, 1000, 'Invalid API Token')
/** An account's token at a user's path (K1). */
export const noUser = (): SimulatedAnswer => bad(403, 9109, 'Valid user-level authentication not found')
/** It may not, or the resource isn't there (K3, K7). */
export const unauthorized = (): SimulatedAnswer => bad(403, 9109, 'Unauthorized to access requested resource')
/** It may not, at the gateway; also a grant that isn't in force yet (K10). */
export const authenticationError = (): SimulatedAnswer => bad(403, 10000, 'Authentication error')
/** Its condition doesn't allow the address (K5). */
export const wrongPlace = (ip: string): SimulatedAnswer =>
  bad(403, 9109, `Cannot use the access token from location: ${ip}`)
/** Nothing is there. */
export const noRoute = (): SimulatedAnswer => bad(404, 7003, 'No route for the URI')
/** The caller may not grant that there (K8). */
export const mayNotGrant = (group: string): SimulatedAnswer =>
  bad(400, 1001, `Failed common permission check against resources. (Permission group: "${group}")`)
