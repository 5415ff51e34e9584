import { checkFields } from '../kernel/fields.ts'
import type { Kind } from '../kernel/kind.ts'
import type { Page, TokenStore } from '../stores/token-store.ts'
import { RowLog } from './row-log.ts'

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

type RequestOrder = 'at' | 'service' | 'ip' | 'code' | 'risk'

const MAX_WAITING = 10_000

/** What a {@link RequestLog} is made from. */
export interface RequestLogOptions {
  readonly store: TokenStore
  /** How long rows stay, ms. */
  readonly retention: number
  /** Write only the network part of addresses. */
  readonly truncateIp: boolean
  /** A fresh id for a row or commit of this instant. */
  readonly newId: (at: number) => string
}

/** A log of single calls. */
export class RequestLog {
  readonly #truncateIp: boolean
  readonly #rows: RowLog<RequestEntry, RequestOrder>

  /** @param options - store, retention and how to write addresses */
  constructor({ truncateIp, ...options }: RequestLogOptions) {
    this.#truncateIp = truncateIp
    this.#rows = new RowLog({ ...options, kind: requestKind, capacity: MAX_WAITING })
  }

  /** Rows that were lost because the buffer was full. */
  get dropped(): number {
    return this.#rows.dropped
  }

  /** Rows that wait to be written. */
  get size(): number {
    return this.#rows.size
  }

  /** Whether another row would be lost. */
  get full(): boolean {
    return this.#rows.full
  }

  /** Adds a row, with texts cut to what a row may hold. */
  add(row: RequestEntry): void {
    const { tool, ip, caller } = row
    this.#rows.add({
      ...row,
      ...(tool !== undefined && { tool: tool.slice(0, 128) }),
      ...(ip !== undefined && { ip: this.#truncateIp ? truncateIp(ip.slice(0, 64)) : ip.slice(0, 64) }),
      ...(caller !== undefined && { caller: caller.slice(0, 256) }),
    })
  }

  /** Writes what waits. What the store refuses goes on waiting. */
  flush(now: number): Promise<number> {
    return this.#rows.flush(now)
  }

  /** Removes a batch of the rows that are older than the retention. */
  forget(now: number): Promise<void> {
    return this.#rows.forget(now)
  }

  /** Rows, newest first. */
  async query(query: RequestQuery): Promise<Page<RequestEntry>> {
    checkFields('query', query, ['service', 'ip', 'code', 'risk', 'since', 'limit', 'cursor'])
    const { service, ip, code, risk, since } = query
    const index =
      service !== undefined
        ? 'service'
        : ip !== undefined
          ? 'ip'
          : risk !== undefined
            ? 'risk'
            : code !== undefined
              ? 'code'
              : 'at'
    const range = { index, in: service ?? ip ?? risk ?? code, from: since, reverse: true } as const
    return this.#rows.page(range, query, (row) => fits(row, query))
  }
}

function fits(row: RequestEntry, { service, ip, code, risk }: RequestQuery): boolean {
  if (service !== undefined && row.service !== service) return false
  if (ip !== undefined && row.ip !== ip) return false
  return (code === undefined || row.code === code) && (risk === undefined || row.risk === risk)
}
