import { type Duration, formatDuration, parseDuration } from '../kernel/duration.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HealthSource } from '../kernel/health.ts'
import type { Stored } from '../kernel/kind.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import { activityKind } from '../stores/usage-rows.ts'
import { dateOf, endOfToken, type TokenRecord, tokenKind } from '../tokens/record.ts'
import { currentOf, endOf } from '../tokens/versions.ts'
import type { IssuingEvents } from './events.ts'

/** From when on a token is worth a word. */
export interface TokenAgesSettings {
  /** A current version older than this is old. Default 90 d. */
  readonly old?: Duration | undefined
  /** A current version that ends within this is expiring, if it lives more than twice as long. Default 7 d. */
  readonly expiring?: Duration | undefined
  /** A token that was made so long ago, and never used since, is unused. Default 30 d. */
  readonly unused?: Duration | undefined
  /** Whether old and unused tokens make the whole `degraded`; expiring ones always do. Default false. */
  readonly strict?: boolean | undefined
}

/** Some tokens by name, and how many there are. */
export interface TokenList {
  /** How many, of those that were looked at. */
  readonly count: number
  /** The first names, at most 20. */
  readonly services: readonly string[]
  /** Whether not all were looked at: there may be more. */
  readonly more: boolean
}

/** Which tokens are old, about to end, or not in use. */
export interface TokenAges extends HealthSource {
  /** Their current version is old; oldest first. */
  readonly old: TokenList
  /** Old, and never rotated. */
  readonly neverRotated: TokenList
  /** Their current version ends soon; the soonest first. */
  readonly expiring: TokenList
  /** Never used since they were made, some time ago. */
  readonly neverUsed: TokenList
}

const MAX_NAMES = 20
/** Rows that are read for each list. */
const MAX_READ = 1000

/**
 * Tells how old tokens are, and which of them end soon or aren't in use. It is the health source `tokens` of the front door. Each list
 * is a range of an index, of which at most 1000 rows are read.
 *
 * @example
 * ```ts
 * const ages = await new TokenAgeHealth({ store, keys }).health()
 * console.log(ages.expiring.services, ages.neverUsed.count)
 * ```
 */
export class TokenAgeHealth {
  readonly #base: Foundation<IssuingEvents>
  readonly #old: number
  readonly #expiring: number
  readonly #unused: number
  readonly #strict: boolean

  /**
   * @param options - a foundation, and from when on a token is worth a word
   * @throws InvalidInputError for bad options
   */
  constructor(options: FoundationSource<IssuingEvents> & { readonly ages?: TokenAgesSettings | undefined }) {
    this.#base = Foundation.of(options)
    const { ages = {} } = options
    checkFields('ages', ages, ['old', 'expiring', 'unused', 'strict'])
    this.#old = parseDuration('ages.old', ages.old ?? '90d', { min: 1000 })
    this.#expiring = parseDuration('ages.expiring', ages.expiring ?? '7d', { min: 1000 })
    this.#unused = parseDuration('ages.unused', ages.unused ?? '30d', { min: 1000 })
    this.#strict = ages.strict ?? false
  }

  /** Reads the four lists. */
  async health(): Promise<TokenAges> {
    const now = this.#base.clock.now()
    const [aged, expiring, neverUsed] = await Promise.all([this.#aged(now), this.#ending(now), this.#neverUsed(now)])
    const { old, neverRotated } = aged
    const serious: string[] = []
    tell(serious, expiring, `expiring within ${formatDuration(this.#expiring)}`)
    const told = this.#strict ? serious : []
    tell(told, old, `older than ${formatDuration(this.#old)}`)
    tell(told, neverUsed, 'never used')
    return {
      status: serious.length > 0 ? 'degraded' : 'healthy',
      reasons: serious,
      old,
      neverRotated,
      expiring,
      neverUsed,
    }
  }

  async #aged(now: number): Promise<{ old: TokenList; neverRotated: TokenList }> {
    const page = await this.#base.store.list(tokenKind, { index: 'rotated', to: now - this.#old + 1, limit: MAX_READ })
    const old = page.items.filter(({ value }) => isLive(value, now))
    const more = page.cursor !== undefined
    const neverRotated = old.filter(({ value }) => currentOf(value.versions).n === 1)
    return { old: listed(old, more), neverRotated: listed(neverRotated, more) }
  }

  async #ending(now: number): Promise<TokenList> {
    const range = { index: 'ends', from: now + 1, to: now + this.#expiring + 1, limit: MAX_READ } as const
    const page = await this.#base.store.list(tokenKind, range)
    const ending = page.items.filter(({ value }) => {
      const current = currentOf(value.versions)
      // What lives for an hour is always about to end.
      return isLive(value, now) && endOf(current, value.lifetime) - dateOf(current) > 2 * this.#expiring
    })
    return listed(ending, page.cursor !== undefined)
  }

  async #neverUsed(now: number): Promise<TokenList> {
    const { store } = this.#base
    const range = { index: 'unusedSince', to: now - this.#unused + 1, limit: MAX_READ } as const
    const page = await store.list(activityKind, range)
    const unused: Stored<TokenRecord>[] = []
    for (const { id, value } of page.items) {
      const dot = id.lastIndexOf('.')
      // A second version that isn't used is a matter of its rotation.
      if (value.calls > 0 || id.slice(dot + 1) !== '1') continue
      const token = await store.get(tokenKind, id.slice(0, dot))
      if (token === undefined || !isLive(token.value, now)) continue
      if (currentOf(token.value.versions).n === 1 && token.value.createdAt >= value.lastAt) unused.push(token)
    }
    return listed(unused, page.cursor !== undefined)
  }
}

/** Whether a token is in force: no canary, and neither revoked, disabled nor expired. */
function isLive(token: TokenRecord, now: number): boolean {
  return token.canary !== true && token.revoked === undefined && token.disabled === undefined && now < endOfToken(token)
}

function listed(tokens: readonly Stored<TokenRecord>[], more: boolean): TokenList {
  return { count: tokens.length, services: tokens.slice(0, MAX_NAMES).map(({ value }) => value.service), more }
}

function tell(reasons: string[], { count, services, more }: TokenList, what: string): void {
  if (count === 0) return
  const some = services.slice(0, 3).join(', ')
  reasons.push(
    `${count}${more ? ' or more' : ''} ${count === 1 ? 'token' : 'tokens'} ${what}: ${some}${count > 3 ? ' …' : ''}`,
  )
}
