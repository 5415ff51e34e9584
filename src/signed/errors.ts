import { formatDuration } from '../kernel/duration.ts'
import { TokenwrightError } from '../kernel/errors.ts'
import type { Risk } from '../tokens/risk.ts'

/** The codes of the errors that signed tokens throw. */
export type SignedErrorCode = 'ERR_TTL_OVER_CAP' | 'ERR_WIDER_THAN_MINTER'

/** The longest life that a token with certain scopes may have. */
export interface TtlCap {
  /** The cap, ms. */
  readonly ms: number
  /** The scope that sets it; absent = it holds for every token. */
  readonly scope?: string | undefined
  /** That scope's risk. */
  readonly risk?: Risk | undefined
}

/** A signed token was to live longer than its riskiest scope allows. */
export class TtlOverCapError extends TokenwrightError<'ERR_TTL_OVER_CAP'> {
  /** The cap that it would exceed. */
  readonly cap: TtlCap

  /**
   * @param ttl - what was asked for, ms
   * @param cap - what is allowed
   */
  constructor(ttl: number, cap: TtlCap) {
    const why = cap.scope === undefined ? 'for any signed token' : `for '${cap.scope}', whose risk is ${cap.risk}`
    super('ERR_TTL_OVER_CAP', `a ttl of ${formatDuration(ttl)} is over the cap of ${formatDuration(cap.ms)} ${why}`, {
      help: `ask for ${formatDuration(cap.ms)} or less, or set clamp to have it shortened`,
    })
    this.cap = cap
  }
}

/** A signed token was to allow more than the token of whoever mints it. */
export class WiderThanMinterError extends TokenwrightError<'ERR_WIDER_THAN_MINTER'> {
  /** What would be wider, such as `scopes`. */
  readonly field: string
  /** The scopes that the minter lacks. */
  readonly missing: readonly string[]

  /**
   * @param field - what would be wider
   * @param what - how, as a clause
   * @param missing - the scopes that the minter lacks
   */
  constructor(field: string, what: string, missing: readonly string[] = []) {
    super('ERR_WIDER_THAN_MINTER', `${field} ${what}`, { help: "ask for no more than the minter's own token allows" })
    this.field = field
    this.missing = missing
  }
}
