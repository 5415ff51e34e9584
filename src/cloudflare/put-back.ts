import type { Clock } from '../kernel/clock.ts'
import { aftermathOf } from './aftermath.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { CloudflareApiError } from './errors.ts'
import { isClosed } from './fault.ts'
import { PROPAGATION_DELAYS } from './propagation.ts'
import { sendUpdate } from './sent-update.ts'
import { bodyOf, type Policy, readToken, type TokenFields } from './token-record.ts'

/** Which token is put back, and to what. */
export interface PutBackOrder {
  readonly family: Family
  readonly id: string
  readonly fields: TokenFields
  readonly policies: readonly Policy[]
  readonly run: Run
}

/** What came of it. */
export interface PutBack {
  /** Whether the token was read back so. */
  readonly restored: boolean
  /** What Cloudflare said, where it wasn't. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** How many requests it takes at most: one to write, and its looks. */
export const PUT_BACK_REQUESTS = 4

/** Writes fields with these policies, and reads them back; more than once, for a token may be read as it was for a while. */
export async function putBack(
  { api, clock }: { readonly api: CloudflareApi; readonly clock: Clock },
  { family, id, fields, policies, run }: PutBackOrder,
): Promise<PutBack> {
  const sent = await sendUpdate(api, family, id, bodyOf(fields, policies), run)
  const otherwise = { code: 'ERR_UNKNOWN_OUTCOME', message: 'the token could not be read back as it was to be' }
  const failed: PutBack = { restored: false, error: sent.error ?? otherwise }
  if (sent.state === 'refused') return failed
  for (const delay of [0, ...PROPAGATION_DELAYS.slice(0, PUT_BACK_REQUESTS - 2)]) {
    try {
      if (delay > 0) await clock.sleep(delay, run.signal === undefined ? {} : { signal: run.signal })
      const record = readToken((await api.token(family, id, run)).result)
      const is = typeof record === 'string' ? undefined : aftermathOf(fields, policies, [], record).state
      if (is === 'as_planned') return { restored: true }
    } catch (error) {
      // Nobody can tell; whoever asked has the snapshot.
      if (!(error instanceof CloudflareApiError) || isClosed(error.fault)) return failed
    }
  }
  return failed
}
