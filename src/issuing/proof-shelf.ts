import type { Limits } from '../access/limits.ts'
import type { Unproved } from '../access/provable.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import { codeOf } from '../kernel/errors.ts'
import type { Stored } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Cell } from '../stores/token-store.ts'
import { ProofCache } from '../tokens/proof-cache.ts'
import type { TokenRecord } from '../tokens/record.ts'
import type { AddedDigests } from './added-digests.ts'
import type { IssuingEvents } from './events.ts'
import { Proof, TokenMemo, versionOf, versionUnder } from './proof.ts'

/** What a {@link ProofShelf} is made from. */
export interface ProofShelfOptions {
  readonly base: Foundation<IssuingEvents>
  readonly catalog: ScopeCatalog | undefined
  readonly limits: Limits
  readonly addedDigests: AddedDigests
  /** How many proved strings are remembered. */
  readonly cacheSize: number
  /** When the store fails: how old may be what was read before, ms; 0 = refuse at once. */
  readonly staleIfError: number
}

/** Makes proofs and keeps them, for both ways of reading a store. */
export class ProofShelf {
  readonly #options: ProofShelfOptions
  readonly #proofs: ProofCache<Proof>
  readonly #memos = new Map<string, TokenMemo>()

  /** @param options - what it works with */
  constructor(options: ProofShelfOptions) {
    this.#options = options
    this.#proofs = new ProofCache(options.cacheSize)
  }

  /** The proof kept under a key. */
  get(key: string): Proof | undefined {
    return this.#proofs.get(key)
  }

  /** Forgets a proof that no longer fits its record. */
  drop(key: string): void {
    this.#proofs.delete(key)
  }

  /**
   * Makes the proof of a string that a look-up found, and keeps it.
   *
   * @param matched - the digest keys by which it was looked up
   * @param key - where it is kept
   * @param active - its digest under the active key
   */
  keep(
    stored: Stored<TokenRecord>,
    matched: readonly string[],
    cell: Cell<TokenRecord> | undefined,
    key: string,
    active: string,
    readAt: number,
  ): Proof | Unproved {
    const { base, catalog, limits, addedDigests } = this.#options
    const { activeId } = base.keys
    // The digests decide, never the index that led here: it may be behind the record, whose version is gone then.
    const version = versionUnder(stored.value, activeId, active) ?? versionOf(stored.value, matched)
    if (version === undefined) return 'unknown'
    const proof = new Proof(key, stored, version, cell, this.#memo(stored.id, cell), catalog, limits, readAt)
    this.#proofs.add(proof)
    const earned = version.state !== 'retired' && version.digests[activeId] === undefined
    if (earned) addedDigests.add(stored.id, version.n, active)
    return proof
  }

  /** What to answer for a remembered string when the store fails. */
  staleOr(proof: Proof, error: unknown, now: number): Proof | Unproved {
    const { staleIfError } = this.#options
    const usable = staleIfError > 0 && now - proof.readAt <= staleIfError
    const unavailable = this.failed(error, usable, now)
    return usable ? proof : unavailable
  }

  /** Tells of a store that failed. */
  failed(error: unknown, stale: boolean, at: number): Unproved {
    this.#options.base.events.emit('store.failed', { code: codeOf(error), stale, at })
    return 'unavailable'
  }

  #memo(id: string, cell: Cell<TokenRecord> | undefined): TokenMemo {
    if (cell !== undefined) {
      if (cell.memo instanceof TokenMemo) return cell.memo
      const fresh = new TokenMemo()
      cell.memo = fresh
      return fresh
    }
    let memo = this.#memos.get(id)
    if (memo === undefined) {
      if (this.#memos.size >= this.#options.cacheSize) this.#memos.delete(this.#memos.keys().next().value as string)
      memo = new TokenMemo()
      this.#memos.set(id, memo)
    }
    return memo
  }
}
