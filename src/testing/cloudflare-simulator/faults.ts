import { json, type SimulatedAnswer, type SimulatedRequest } from './answers.ts'

/**
 * What goes wrong:
 *
 * - `rate_limited`: 429, with `retryAfter` as the header's text, if given
 * - `server`: 502 with a page in HTML, as a gateway has it
 * - `html`: 200 with a page in HTML
 * - `truncated`: half of the answer
 * - `not_successful`: 200 with `success: false` and no result
 * - `oversized`: an answer of 9 MB
 * - `hang`: no answer ever
 * - `reset`: the connection breaks, and nothing was done
 * - `reset_after`: it breaks after the request took effect
 * - `error`: a refusal of one's own
 */
export type CloudflareFault =
  | { readonly type: 'rate_limited'; readonly retryAfter?: string }
  | {
      readonly type: 'server' | 'html' | 'truncated' | 'not_successful' | 'oversized' | 'hang' | 'reset' | 'reset_after'
    }
  | { readonly type: 'error'; readonly status: number; readonly code: number; readonly message: string }

/** A fault to order, with what it befalls. */
export interface FaultOrder {
  /** Default: any. */
  readonly method?: string | undefined
  /** A part of the path. Default: any. */
  readonly path?: string | undefined
  /** How many requests it befalls. Default 1. */
  readonly times?: number | undefined
  /** How many matching requests pass before. Default 0. */
  readonly after?: number | undefined
  readonly fault: CloudflareFault
}

interface Waiting {
  readonly order: FaultOrder
  pass: number
  left: number
}

const PAGE = '<!DOCTYPE html><html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>'
const html = (status: number): SimulatedAnswer => ({ status, headers: { 'content-type': 'text/html' }, body: PAGE })

/** Faults that wait for their request (K11). */
export class Faults {
  readonly #waiting: Waiting[] = []

  /** Orders one. */
  add(order: FaultOrder): void {
    this.#waiting.push({ order, pass: order.after ?? 0, left: order.times ?? 1 })
  }

  /** Takes back all. */
  clear(): void {
    this.#waiting.length = 0
  }

  /** The fault that befalls a request. */
  take({ method, path }: SimulatedRequest): CloudflareFault | undefined {
    for (const waiting of this.#waiting) {
      const { order } = waiting
      if (waiting.left === 0 || (order.method !== undefined && order.method !== method)) continue
      if (order.path !== undefined && !path.includes(order.path)) continue
      if (waiting.pass > 0) {
        waiting.pass -= 1
        continue
      }
      waiting.left -= 1
      return order.fault
    }
    return undefined
  }
}

/** The answer of a request with a fault. `act` does what the request asks for. */
export function faulty(fault: CloudflareFault, act: () => SimulatedAnswer): SimulatedAnswer {
  switch (fault.type) {
    case 'rate_limited': {
      const { retryAfter } = fault
      const answer = json(429, {
        success: false,
        errors: [{ code: 10429, message: 'Rate limited' }],
        messages: [],
        result: null,
      })
      return retryAfter === undefined
        ? answer
        : { ...answer, headers: { ...answer.headers, 'retry-after': retryAfter } }
    }
    case 'server':
      return html(502)
    case 'html':
      return html(200)
    case 'truncated': {
      const answer = act()
      return { ...answer, body: answer.body.slice(0, Math.floor(answer.body.length / 2)) }
    }
    case 'not_successful':
      return json(200, { success: false, errors: [{ code: 1000, message: 'something' }], messages: [], result: null })
    case 'oversized':
      return { ...json(200, {}), body: `{"success":true,"pad":"${'x'.repeat(9 * 1024 * 1024)}"}` }
    case 'hang':
      return { ...html(200), connection: 'hang' }
    case 'reset':
      return { ...html(200), connection: 'reset' }
    case 'reset_after':
      act()
      return { ...html(200), connection: 'reset' }
    case 'error':
      return json(fault.status, {
        success: false,
        errors: [{ code: fault.code, message: fault.message }],
        messages: [],
        result: null,
      })
  }
}
