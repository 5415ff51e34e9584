import type { Service } from './app.ts'

/** An answer, as far as the tour looks at it. */
export interface Answer {
  /** Status and, of a refusal, its code: `200`, `403 insufficient_scope`. */
  readonly said: string
  readonly headers: Headers
  readonly body: { readonly [field: string]: unknown }
}

/** How a call differs from a plain GET with a bearer token. */
export interface CallOptions {
  readonly method?: 'GET' | 'POST'
  /** Sent as JSON. */
  readonly json?: object
  /** The header that carries the token. Default `Authorization`. */
  readonly header?: 'X-API-Key'
}

/** A real HTTP request with a token, or without. */
export async function call(service: Service, path: string, token?: string, options: CallOptions = {}): Promise<Answer> {
  const { method = 'GET', json, header } = options
  const headers = new Headers()
  if (token !== undefined && header === undefined) headers.set('Authorization', `Bearer ${token}`)
  if (token !== undefined && header !== undefined) headers.set(header, token)
  if (json !== undefined) headers.set('Content-Type', 'application/json')
  const response = await fetch(service.url + path, {
    method,
    headers,
    ...(json !== undefined && { body: JSON.stringify(json) }),
  })
  const body = (await response.json()) as { readonly [field: string]: unknown }
  const code = typeof body['code'] === 'string' ? ` ${body['code']}` : ''
  return { said: `${response.status}${code}`, headers: response.headers, body }
}
