import type { Kind } from '../kernel/kind.ts'

/** One call as the request log tells it. */
export interface RequestEntry {
  /** When, epoch ms. */
  readonly at: number
  /** The token's id; empty when no token was proved. */
  readonly token: string
  /** The token's name; empty when no token was proved. */
  readonly service: string
  /** The agent of a signed token. */
  readonly agent?: string
  /** The tool that was asked for. */
  readonly tool?: string
  /** The risk of that tool, where a catalogue gives one. */
  readonly risk?: string
  /** `ok`, or the code of the refusal. */
  readonly code: string
  /** The HTTP status of the answer. */
  readonly status?: number
  /** The client's address; shortened with `truncateIp`. */
  readonly ip?: string
  /** Who called, as the host knows it. */
  readonly caller?: string
  /** How long the call took, ms. */
  readonly durationMs?: number
}

/** Rows of the request log. */
export const requestKind: Kind<RequestEntry, 'at' | 'service' | 'ip' | 'code' | 'risk', never> = {
  name: 'request',
  schema: 1,
  journaled: false,
  unique: {},
  order: {
    at: (row) => ({ at: row.at }),
    service: (row) => (row.service === '' ? undefined : { at: row.at, in: row.service }),
    ip: (row) => (row.ip === undefined ? undefined : { at: row.at, in: row.ip }),
    code: (row) => ({ at: row.at, in: row.code }),
    risk: (row) => (row.risk === undefined ? undefined : { at: row.at, in: row.risk }),
  },
  merge: () => undefined,
}

/** Which rows of the request log: those that fit all that is given. */
export interface RequestQuery {
  readonly service?: string | undefined
  readonly ip?: string | undefined
  readonly code?: string | undefined
  readonly risk?: string | undefined
  /** The earliest, epoch ms. */
  readonly since?: number | undefined
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

/** Keeps the network part of an address: IPv4 to 24 bits, IPv6 to 48. */
export function truncateIp(ip: string): string {
  const colon = ip.indexOf(':')
  if (colon === -1 || ip.includes('.')) return ip.slice(0, ip.lastIndexOf('.') + 1) + (ip.includes('.') ? '0' : '')
  const gap = ip.indexOf('::')
  const groups = (gap === -1 ? ip : ip.slice(0, gap)).split(':').slice(0, 3)
  return `${groups.join(':')}::`
}
