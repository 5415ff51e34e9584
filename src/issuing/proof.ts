import { type CompiledPolicy, compilePolicy } from '../access/checks.ts'
import type { Limits, TokenLimits } from '../access/limits.ts'
import type { Provable } from '../access/provable.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import type { Stored } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Cell } from '../stores/token-store.ts'
import { digestKeys, importedKeys } from '../tokens/digest.ts'
import { isWellFormed } from '../tokens/format.ts'
import type { KeyRing } from '../tokens/key-ring.ts'
import type { Remembered } from '../tokens/proof-cache.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import type { LimitState } from '../tokens/verification.ts'
import { endOf } from '../tokens/versions.ts'
import type { UsageCounter } from '../usage/usage-counter.ts'

/** What all versions of one token share in this process. Hangs on the token's cell where the store has cells. */
export class TokenMemo implements TokenLimits {
  /** The revision that {@link TokenMemo.ended} was observed on. */
  revision = 0
  /** The versions whose end was observed: they stay ended until the record changes, whatever the clock does. */
  ended: Set<number> | undefined = undefined
  limits: TokenLimits['limits'] = undefined
  quota: TokenLimits['quota'] = undefined
  shared: TokenLimits['shared'] = undefined
  limiterSlot: object | undefined = undefined
}

/**
 * A string that was proved to be a version of a token, with what the checks need of the record. What it holds is
 * derived from one revision and made anew when the record has another.
 */
export class Proof implements Provable, Remembered {
  readonly key: string
  recent = false
  stored: Stored<TokenRecord>
  version: TokenVersion
  policy: CompiledPolicy
  /** When the version stops verifying, epoch ms. */
  endsAt: number
  /** Whether its end was observed. */
  ended: boolean
  counter: UsageCounter | undefined = undefined
  /** When the record was last read from the store, epoch ms. */
  readAt: number
  readonly cell: Cell<TokenRecord> | undefined
  readonly memo: TokenMemo
  readonly #catalog: ScopeCatalog | undefined
  readonly #limits: Limits

  /**
   * @param key - SHA-256 of the string
   * @param stored - the record
   * @param version - the version that the string is
   * @param cell - the record's cell, where the store has cells
   */
  constructor(
    key: string,
    stored: Stored<TokenRecord>,
    version: TokenVersion,
    cell: Cell<TokenRecord> | undefined,
    memo: TokenMemo,
    catalog: ScopeCatalog | undefined,
    limits: Limits,
    now: number,
  ) {
    this.key = key
    this.stored = stored
    this.version = version
    this.cell = cell
    this.memo = memo
    this.#catalog = catalog
    this.#limits = limits
    this.policy = compilePolicy(stored.value.policy, catalog)
    this.endsAt = endOf(version, stored.value.lifetime)
    this.ended = memo.revision === stored.revision && memo.ended?.has(version.n) === true
    this.readAt = now
  }

  /**
   * Takes over another revision of the record.
   *
   * @returns false when the version isn't in it any more, or can't be told by a digest: then the string is to be proved anew
   */
  refresh(stored: Stored<TokenRecord>): boolean {
    const { n } = this.version
    const version = stored.value.versions.find((v) => v.n === n)
    if (version === undefined || !shareDigest(version, this.version)) return false
    this.stored = stored
    this.version = version
    this.policy = compilePolicy(stored.value.policy, this.#catalog)
    this.endsAt = endOf(version, stored.value.lifetime)
    this.ended = this.memo.revision === stored.revision && this.memo.ended?.has(n) === true
    return true
  }

  /** Remembers that the version has ended. */
  end(): void {
    this.ended = true
    if (this.memo.revision !== this.stored.revision) {
      this.memo.revision = this.stored.revision
      this.memo.ended = undefined
    }
    this.memo.ended ??= new Set()
    this.memo.ended.add(this.version.n)
  }

  limitStates(now: number): LimitState[] {
    return this.#limits.states(this.memo, this.stored.value, now)
  }
}

/**
 * The keys under which a text may stand in the digest index, beside the one under the active key: under the ring's
 * other keys, and as an imported digest.
 */
export function furtherKeys(keys: KeyRing, text: string, now: number): string[] {
  return [...keys.otherDigests(text, now).map((other) => other.digest), ...importedKeys(text)]
}

/** Whether two states of a version are of one text. */
function shareDigest(a: TokenVersion, b: TokenVersion): boolean {
  for (const id in a.digests) if (a.digests[id] === b.digests[id]) return true
  return false
}

/** The version of a record that has this digest under this key. */
export function versionUnder(record: TokenRecord, keyId: string, digest: string): TokenVersion | undefined {
  const { versions } = record
  for (let i = versions.length - 1; i >= 0; i--) {
    const version = versions[i] as TokenVersion
    if (version.digests[keyId] === digest) return version
  }
  return undefined
}

/** The version of a record that one of these digest keys belongs to. */
export function versionOf(record: TokenRecord, keys: readonly string[]): TokenVersion | undefined {
  return record.versions.find((version) => digestKeys(version.digests).some((key) => keys.includes(key)))
}

/** The token that a text is or was a version of, and that version, if the store has it. */
export async function findByText(
  base: Pick<Foundation<object>, 'keys' | 'store' | 'clock'>,
  text: unknown,
): Promise<{ readonly stored: Stored<TokenRecord>; readonly version: TokenVersion } | undefined> {
  if (typeof text !== 'string' || !isWellFormed(text)) return undefined
  const { keys, store, clock } = base
  const candidates = [keys.digest(text), ...furtherKeys(keys, text, clock.now())]
  const stored = await store.find(tokenKind, 'digest', candidates)
  const version = stored && versionOf(stored.value, candidates)
  return stored !== undefined && version !== undefined ? { stored, version } : undefined
}
