import type { VaultCalls } from './vault-calls.ts'

/** How a server says that it is, without a token. */
export interface VaultServerHealth {
  /**
   * `active`; `standby` (which forwards, and is well); `sealed`; `uninitialized`; `unreachable`; `unknown`: it answered
   * something else.
   */
  readonly status: 'active' | 'standby' | 'sealed' | 'uninitialized' | 'unreachable' | 'unknown'
  readonly version?: string
  /** How far the server's clock is ahead of ours, ms, to about a second. Nothing here depends on it; certificates and JWTs do. */
  readonly clockAheadMs?: number
}

/** Asks `sys/health`. It needs no token and costs no use of one. Never throws. */
export async function askServerHealth(calls: VaultCalls): Promise<VaultServerHealth> {
  try {
    return serverHealthOf(await calls.health(), calls.moment().wall)
  } catch (error) {
    // Clients other than node-vault take 429 (standby), 501 and 503 for failures; the answer says it all the same.
    const { status, response } = error as { readonly status?: number; readonly response?: { readonly body?: unknown } }
    if (response?.body !== undefined) return serverHealthOf(response.body, calls.moment().wall)
    if (status === undefined) return { status: 'unreachable' }
    const known: { readonly [status: number]: VaultServerHealth['status'] } = {
      429: 'standby',
      472: 'standby',
      473: 'standby',
      501: 'uninitialized',
      503: 'sealed',
    }
    return { status: known[status] ?? 'unknown' }
  }
}

/** What the body of `sys/health` says; its flags are the same whatever the status was. */
export function serverHealthOf(body: unknown, now: number): VaultServerHealth {
  const given = typeof body === 'object' && body !== null ? (body as { readonly [name: string]: unknown }) : {}
  const { initialized, sealed, standby, version, server_time_utc: time } = given
  if (typeof initialized !== 'boolean' || typeof sealed !== 'boolean') return { status: 'unknown' }
  const status = !initialized ? 'uninitialized' : sealed ? 'sealed' : standby === true ? 'standby' : 'active'
  return {
    status,
    ...(typeof version === 'string' && { version: version.slice(0, 64) }),
    ...(typeof time === 'number' && { clockAheadMs: time * 1000 - Math.floor(now / 1000) * 1000 }),
  }
}
