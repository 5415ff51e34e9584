import type { Clock } from '../../kernel/clock.ts'
import type { SimulatedAnswer } from './answer.ts'

/** What goes wrong. */
export type VaultFaultKind =
  /** The connection is reset before anything is done. */
  | { readonly kind: 'reset' }
  /** It is done, and the answer is lost. */
  | { readonly kind: 'lost_response' }
  /** No answer ever comes. */
  | { readonly kind: 'hang' }
  /** The answer comes later, ms. */
  | { readonly kind: 'latency'; readonly ms: number }
  /** A proxy's page, with status 200. */
  | { readonly kind: 'html' }
  /** Status 204, without a body. */
  | { readonly kind: 'empty' }
  /** Any answer. */
  | {
      readonly kind: 'answer'
      readonly status: number
      readonly errors?: readonly string[]
      readonly body?: unknown
      readonly headers?: { readonly [name: string]: string }
    }

/** A fault that is ordered. */
export type VaultFault = VaultFaultKind & {
  /** Requests whose path below `/v1/` begins so. Default: all. */
  readonly path?: string
  /** How many requests it strikes. Default 1; `Infinity` until `clearFaults()`. */
  readonly times?: number
}

/** The connection broke. */
export class BrokenConnection extends Error {
  readonly code: string

  constructor(code: string) {
    super(code)
    this.code = code
  }
}

/** The faults that are ordered, struck in their order. */
export class Faults {
  #ordered: { fault: VaultFault; left: number }[] = []

  /** Orders one. */
  add(fault: VaultFault): void {
    this.#ordered.push({ fault, left: fault.times ?? 1 })
  }

  /** Takes all orders back. */
  clear(): void {
    this.#ordered = []
  }

  /** Carries a request out, with the fault that is ordered for it. */
  async strike(
    path: string,
    clock: Clock,
    signal: AbortSignal | undefined,
    run: () => SimulatedAnswer,
  ): Promise<SimulatedAnswer> {
    const found = this.#ordered.find(({ fault }) => path.startsWith(fault.path ?? ''))
    if (found === undefined) return run()
    found.left -= 1
    if (found.left <= 0) this.#ordered = this.#ordered.filter((each) => each !== found)
    const { fault } = found
    switch (fault.kind) {
      case 'reset':
        throw new BrokenConnection('ECONNRESET')
      case 'lost_response':
        run()
        throw new BrokenConnection('ECONNRESET')
      case 'hang':
        return await new Promise<never>((_, reject) => {
          signal?.addEventListener('abort', () => reject(signal.reason), { once: true })
        })
      case 'latency':
        await clock.sleep(fault.ms, { signal })
        return run()
      case 'html':
        return { status: 200, headers: { 'content-type': 'text/html' }, body: '<html><body>Log in</body></html>' }
      case 'empty':
        return { status: 204 }
      case 'answer': {
        const { status, errors = [], body = { errors }, headers = {} } = fault
        return { status, headers, body }
      }
    }
  }
}
