import { codeOf } from '../kernel/errors.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { CloudflareApiError } from './errors.ts'
import { readToken, type TokenFields } from './token-record.ts'

/** What the PUT of a token came to, as far as its own answer tells. */
export interface Sent {
  /** `done`: Cloudflare said yes. `refused`: it said no, or wasn't asked. `lost`: nobody knows. */
  readonly state: 'done' | 'refused' | 'lost'
  readonly modifiedOn?: string
  readonly error?: { readonly code: string; readonly message: string }
}

/** Replaces a token's fields by one request. What goes wrong is in the answer. */
export async function sendUpdate(
  api: CloudflareApi,
  family: Family,
  id: string,
  body: TokenFields,
  run: Run,
): Promise<Sent> {
  try {
    const record = readToken((await api.update(family, id, body, run)).result)
    const modifiedOn = typeof record === 'string' ? undefined : record.modifiedOn
    return { state: 'done', ...(modifiedOn !== undefined && { modifiedOn }) }
  } catch (error) {
    if (!(error instanceof CloudflareApiError)) {
      // The run was aborted while it was under way.
      return { state: 'lost', error: { code: codeOf(error), message: 'it was aborted while it was sent' } }
    }
    const { kind, status = 0 } = error.fault
    const answered = kind !== 'network' && kind !== 'timeout' && kind !== 'server' && kind !== 'unreadable'
    const no = answered && !(status >= 200 && status < 300)
    return { state: no ? 'refused' : 'lost', error: { code: error.code, message: error.message } }
  }
}
