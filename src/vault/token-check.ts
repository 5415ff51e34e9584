import type { Counters } from './counters.ts'
import { isPolicyDenial, isTokenRefused, requestError } from './failure.ts'
import type { KeptToken } from './kept-token.ts'
import type { TokenFacts } from './token-facts.ts'
import type { Timed, VaultCalls } from './vault-calls.ts'

/** What a look-up after a 403 found. */
export type Confirmed = 'alive' | 'dead' | 'unknown'

/** How long after a look-up that found a token alive another 403 needs none, ms. */
const CONFIRMED_FOR_MS = 1000

/** Looks tokens up, and finds out what a 403 means. */
export class TokenCheck {
  readonly #calls: VaultCalls
  readonly #counters: Counters
  readonly #signal: AbortSignal
  readonly #onFound: (kept: KeptToken, found: Timed<TokenFacts>) => void
  #confirming: { readonly kept: KeptToken; readonly answer: Promise<Confirmed> } | undefined
  #confirmed: { readonly kept: KeptToken; readonly at: number } | undefined

  /**
   * @param calls - sends the look-ups
   * @param counters - note when the server answered
   * @param signal - ends what is under way
   * @param onFound - called with what a confirming look-up told
   */
  constructor(
    calls: VaultCalls,
    counters: Counters,
    signal: AbortSignal,
    onFound: (kept: KeptToken, found: Timed<TokenFacts>) => void,
  ) {
    this.#calls = calls
    this.#onFound = onFound
    this.#counters = counters
    this.#signal = signal
  }

  /** What the server tells of a token: one use. */
  async look(token: string): Promise<Timed<TokenFacts>> {
    const found = await this.#calls.lookup(token, this.#signal)
    this.#counters.lastCheckAt = this.#calls.moment().wall
    return found
  }

  /**
   * Whether a token is alive, after a 403: by one look-up, which all who ask meanwhile share.
   *
   * @param fresh - whether an answer of a moment ago won't do
   */
  confirm(kept: KeptToken, fresh: boolean): Promise<Confirmed> {
    const { mono } = this.#calls.moment()
    const confirmed = this.#confirmed
    if (!fresh && confirmed?.kept === kept && mono < confirmed.at + CONFIRMED_FOR_MS) return Promise.resolve('alive')
    if (this.#confirming?.kept === kept) return this.#confirming.answer
    const entry = {
      kept,
      answer: this.#confirm(kept).finally(() => {
        if (this.#confirming === entry) this.#confirming = undefined
      }),
    }
    this.#confirming = entry
    return entry.answer
  }

  async #confirm(kept: KeptToken): Promise<Confirmed> {
    try {
      this.#onFound(kept, await this.look(kept.text))
      this.#confirmed = { kept, at: this.#calls.moment().mono }
      return 'alive'
    } catch (error) {
      this.#signal.throwIfAborted()
      const failure = requestError(error, 'lookup')
      // Its policies don't even allow to look at it: then it is known.
      if (isPolicyDenial(failure)) return 'alive'
      return isTokenRefused(failure) ? 'dead' : 'unknown'
    }
  }
}
