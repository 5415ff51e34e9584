/**
 * The request itself is malformed, so no token was looked at (RFC 6750, section 3.1, `invalid_request`). It stands
 * beside the denials of a verification.
 */
export interface InvalidRequest {
  /** Always false. */
  readonly ok: false
  /** Always `invalid_request`. */
  readonly code: 'invalid_request'
  /** Always 400. */
  readonly status: 400
  /** One sentence for the client. */
  readonly message: string
}

function invalidRequest(message: string): InvalidRequest {
  return Object.freeze({ ok: false, code: 'invalid_request', status: 400, message })
}

const REPEATED = invalidRequest('A header or parameter that carries the token is given more than once.')
const TWO_WAYS = invalidRequest('The token is given in more than one way.')
const NO_TOKEN = invalidRequest('The Authorization header names the scheme Bearer and no token.')
const SPACES = invalidRequest('The Authorization header has more than one word after the scheme Bearer.')
const BAD_ENCODING = invalidRequest('The token in the URL is not properly percent-encoded.')

const AUTHORIZATION = 'authorization'
const SPACE = 0x20

/**
 * The token that a request's headers present: in `Authorization: Bearer`, or in one of the headers named. Other schemes
 * (`Basic` for a proxy or a browser's own login) are none of ours and hide nothing.
 *
 * @param rawHeaders - names and values in turn
 * @param apiKeyHeaders - the names of the other headers, lower case
 * @returns the token as it stands there, the fault of a malformed request, or undefined without credentials
 */
export function readCredentials(
  rawHeaders: readonly string[],
  apiKeyHeaders: readonly string[],
): string | InvalidRequest | undefined {
  let authorization: string | undefined
  let apiKey: string | undefined
  let apiKeyName = ''
  for (let i = 0; i + 1 < rawHeaders.length; i += 2) {
    const name = rawHeaders[i] as string
    const value = rawHeaders[i + 1] as string
    if (name.length === AUTHORIZATION.length && name.toLowerCase() === AUTHORIZATION) {
      if (authorization !== undefined) return REPEATED
      authorization = value
      continue
    }
    for (const header of apiKeyHeaders) {
      if (name.length !== header.length || name.toLowerCase() !== header) continue
      if (apiKey !== undefined) return apiKeyName === header ? REPEATED : TWO_WAYS
      apiKey = value
      apiKeyName = header
    }
  }
  const bearer = authorization === undefined ? undefined : bearerToken(authorization)
  if (apiKey === undefined || apiKey === '') return bearer
  return bearer === undefined ? apiKey : TWO_WAYS
}

/** The token of an Authorization header's value, if its scheme is Bearer in whatever case (RFC 9110, section 11.1). */
function bearerToken(value: string): string | InvalidRequest | undefined {
  if (!startsWithBearer(value)) return undefined
  let start = 6
  if (value.length > start && value.charCodeAt(start) !== SPACE) return undefined
  while (value.charCodeAt(start) === SPACE) start += 1
  let end = value.length
  while (end > start && value.charCodeAt(end - 1) === SPACE) end -= 1
  if (start === end) return NO_TOKEN
  const token = value.slice(start, end)
  return token.includes(' ') ? SPACES : token
}

/** Compares without a copy: `| 0x20` folds the case of ASCII letters, and maps only letters to these six. */
function startsWithBearer(value: string): boolean {
  return (
    (value.charCodeAt(0) | 0x20) === 0x62 &&
    (value.charCodeAt(1) | 0x20) === 0x65 &&
    (value.charCodeAt(2) | 0x20) === 0x61 &&
    (value.charCodeAt(3) | 0x20) === 0x72 &&
    (value.charCodeAt(4) | 0x20) === 0x65 &&
    (value.charCodeAt(5) | 0x20) === 0x72
  )
}

/**
 * The token that a URL presents in the query parameter `name`.
 *
 * @param url - a request target or URL
 * @param name - the parameter, as it stands in the URL
 * @returns the token, decoded; the fault of a malformed request; or undefined without the parameter
 */
export function readQueryToken(url: string, name: string): string | InvalidRequest | undefined {
  let found: string | undefined
  for (const part of queryParts(url)) {
    if (!isParameter(part, name)) continue
    if (found !== undefined) return REPEATED
    found = part.slice(name.length + 1)
  }
  if (found === undefined || found === '') return undefined
  try {
    return decodeURIComponent(found)
  } catch {
    return BAD_ENCODING
  }
}

/**
 * A URL without the query parameter `name`, so that the token in it reaches no log, no error page and no link.
 *
 * @param url - a request target or URL
 * @param name - the parameter, as it stands in the URL
 */
export function stripQueryToken(url: string, name: string): string {
  const parts = queryParts(url)
  if (!parts.some((part) => isParameter(part, name))) return url
  const kept = parts.filter((part) => !isParameter(part, name)).join('&')
  const fragment = url.indexOf('#')
  return url.slice(0, url.indexOf('?')) + (kept === '' ? '' : `?${kept}`) + (fragment < 0 ? '' : url.slice(fragment))
}

function queryParts(url: string): string[] {
  const fragment = url.indexOf('#')
  const target = fragment < 0 ? url : url.slice(0, fragment)
  const start = target.indexOf('?')
  return start < 0 ? [] : target.slice(start + 1).split('&')
}

function isParameter(part: string, name: string): boolean {
  return part.startsWith(name) && (part.length === name.length || part[name.length] === '=')
}
