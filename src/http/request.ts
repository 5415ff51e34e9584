/** Header values as frameworks hand them out: one, several, or none. */
export interface HeaderValues {
  readonly [name: string]: string | readonly string[] | undefined
}

/** What the HTTP rules must know of a request. The request objects of Express and of `node:http` fit as they are. */
export interface HttpRequest {
  /** The method, upper case. */
  readonly method: string
  /** The headers by name. */
  readonly headers: HeaderValues
  /**
   * Header names and values in turn, as `node:http` has them. Give it where there is one: in `headers` Node has already
   * dropped a second Authorization header, here it is still to be seen.
   */
  readonly rawHeaders?: readonly string[] | undefined
  /** The client's address as the framework knows it, never as a header says. */
  readonly ip?: string | undefined
  /** The protocol as the framework knows it, `http` or `https`. Read only with `requireHttps`. */
  readonly protocol?: string | undefined
  /** The request target. Read only with `query`. */
  readonly url?: string | undefined
}

/** The header names and values of a request in turn. */
export function rawHeadersOf(request: HttpRequest): readonly string[] {
  if (request.rawHeaders !== undefined) return request.rawHeaders
  const raw: string[] = []
  for (const name of Object.keys(request.headers)) {
    const value = request.headers[name]
    if (typeof value === 'string') raw.push(name, value)
    else if (Array.isArray(value)) for (const one of value) raw.push(name, String(one))
  }
  return raw
}

/**
 * Whether an OPTIONS request is a CORS preflight: the browser's question, sent without credentials, whether the real
 * request may be sent (Fetch standard, section 3.3.2).
 */
export function isPreflight(rawHeaders: readonly string[]): boolean {
  return hasHeader(rawHeaders, 'origin') && hasHeader(rawHeaders, 'access-control-request-method')
}

function hasHeader(rawHeaders: readonly string[], name: string): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const found = rawHeaders[i]
    if (found !== undefined && found.length === name.length && found.toLowerCase() === name) return true
  }
  return false
}
