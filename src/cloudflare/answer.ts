import { isJsonObject } from '../kernel/canonical-json.ts'
import type { CloudflareAnswer } from './client.ts'
import { foreignText } from './foreign-text.ts'

/** A pair that Cloudflare answers with: never alone enough to tell what is wrong. */
export interface ApiMessage {
  readonly code: number
  /** At most 300 characters of it. */
  readonly message: string
}

/** An answer in the API's own form: `{ success, errors, messages, result, result_info? }`. */
export interface Envelope {
  readonly status: number
  readonly success: boolean
  readonly errors: readonly ApiMessage[]
  readonly result: unknown
  readonly totalCount?: number
}

const MAX_MESSAGES = 10
const MAX_TEXT = 300

/**
 * Reads an answer; `undefined` when it isn't the API's: HTML of a gateway, JSON that was cut off, another shape, text that isn't
 * well-formed.
 */
export function readEnvelope({ status, text }: CloudflareAnswer): Envelope | undefined {
  let body: unknown
  try {
    body = JSON.parse(text)
  } catch {
    return undefined
  }
  if (!isJsonObject(body) || typeof body['success'] !== 'boolean' || holdsHalfPair(text)) return undefined
  const info = body['result_info']
  const total = isJsonObject(info) ? info['total_count'] : undefined
  return {
    status,
    success: body['success'],
    errors: readMessages(body['errors']),
    result: body['result'],
    ...(typeof total === 'number' && { totalCount: total }),
  }
}

/** The escapes of a JSON text: a whole surrogate pair, else half of one (`half`), else any other. */
const ESCAPES = /\\(?:u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(?<half>u[dD][89a-fA-F])|.)/gs

/** Whether a JSON text holds half of a surrogate pair: text in UTF-8 can do so by escapes alone. */
function holdsHalfPair(text: string): boolean {
  for (const { groups } of text.matchAll(ESCAPES)) if (groups?.['half'] !== undefined) return true
  return false
}

function readMessages(value: unknown): ApiMessage[] {
  // Older paths hang the real reason below: 6003 with a 6111 in its chain. One level of it, for a body may be nested without end.
  return listOf(value).flatMap((each) => [...readMessage(each), ...listOf(each['error_chain']).flatMap(readMessage)])
}

function listOf(value: unknown): { readonly [key: string]: unknown }[] {
  return Array.isArray(value) ? value.slice(0, MAX_MESSAGES).filter(isJsonObject) : []
}

function readMessage({ code, message }: { readonly [key: string]: unknown }): ApiMessage[] {
  return typeof code === 'number'
    ? [{ code, message: typeof message === 'string' ? foreignText(message, MAX_TEXT) : '' }]
    : []
}
