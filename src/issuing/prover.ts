import { hash } from 'node:crypto'
import type { Limits } from '../access/limits.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import { codeOf } from '../kernel/errors.ts'
import type { MaybePromise, Stored } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Cell } from '../stores/token-store.ts'
import { hasSignedForm, isWellFormed, MAX_SIGNED_LENGTH } from '../tokens/format.ts'
import type { KnownFormats } from '../tokens/known-formats.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import type { AddedDigests } from './added-digests.ts'
import type { IssuingEvents } from './events.ts'
import { furtherKeys, Proof, TokenMemo, versionOf, versionUnder } from './proof.ts'
import { ProofCache } from './proof-cache.ts'

/** Why a string proves nothing. */
export type Unproved = 'malformed' | 'unknown' | 'unavailable'

/** What a {@link Prover} is made from. */
export interface ProverOptions {
  readonly base: Foundation<IssuingEvents>
  readonly formats: KnownFormats
  readonly catalog: ScopeCatalog | undefined
  readonly limits: Limits
  readonly addedDigests: AddedDigests
  /** How many proved strings are remembered. */
  readonly cacheSize: number
  /** When the store fails: how old may be what was read before, ms; 0 = refuse at once. */
  readonly staleIfError: number
}

/**
 * Finds the token that a string is a version of. A string seen before is recognised by its SHA-256 and costs one
 * look at the live record; a new one costs a keyed digest and a look-up.
 */
export class Prover {
  readonly #base: Foundation<IssuingEvents>
  readonly #formats: KnownFormats
  readonly #catalog: ScopeCatalog | undefined
  readonly #limits: Limits
  readonly #addedDigests: AddedDigests
  readonly #proofs: ProofCache<Proof>
  readonly #memos = new Map<string, TokenMemo>()
  readonly #cacheSize: number
  readonly #staleIfError: number

  /** @param options - what it works with */
  constructor(options: ProverOptions) {
    this.#base = options.base
    this.#formats = options.formats
    this.#catalog = options.catalog
    this.#limits = options.limits
    this.#addedDigests = options.addedDigests
    this.#cacheSize = options.cacheSize
    this.#proofs = new ProofCache(options.cacheSize)
    this.#staleIfError = options.staleIfError
  }

  /**
   * The proof of a string, with what the live record says now; a value where the store is in this process.
   *
   * @param text - what was presented, not empty
   * @param now - epoch ms
   */
  prove(text: string, now: number): MaybePromise<Proof | Unproved> {
    if (text.length > MAX_SIGNED_LENGTH) return 'malformed'
    // Only printable ASCII was ever remembered, and SHA-256 tells it from anything else: no scan for a known string.
    const key = hash('sha256', text, 'binary')
    const proof = this.#proofs.get(key)
    if (proof === undefined) return this.#firstSight(text, key, now)
    return proof.cell === undefined ? this.#readAgain(proof, key, now) : this.#lookAgain(proof, proof.cell, key, now)
  }

  #firstSight(text: string, key: string, now: number): MaybePromise<Proof | Unproved> {
    if (!isWellFormed(text) || !this.#formats.accepts(text)) return 'malformed'
    // Only opaque tokens are known here, and none of them has that form.
    if (hasSignedForm(text)) return 'unknown'
    const { store, keys } = this.#base
    const active = keys.digest(text)
    if (store.cell === undefined) return this.#find(text, active, key, now)
    let matched = [active]
    let cell: Cell<TokenRecord> | undefined
    let stored: Stored<TokenRecord> | undefined
    try {
      cell = store.cell(tokenKind, 'digest', active)
      if (cell === undefined) {
        matched = furtherKeys(keys, text, now)
        for (const candidate of matched) {
          cell = store.cell(tokenKind, 'digest', candidate)
          if (cell !== undefined) break
        }
      }
      stored = cell?.current
    } catch (error) {
      return this.#failed(error, false, now)
    }
    return stored === undefined ? 'unknown' : this.#remember(stored, matched, cell, key, active, now)
  }

  /** First sight with a store that has no cells. */
  async #find(text: string, active: string, key: string, now: number): Promise<Proof | Unproved> {
    const { store, keys } = this.#base
    const candidates = [active, ...furtherKeys(keys, text, now)]
    try {
      const stored = await store.find(tokenKind, 'digest', candidates)
      return stored === undefined ? 'unknown' : this.#remember(stored, candidates, undefined, key, active, now)
    } catch (error) {
      return this.#failed(error, false, now)
    }
  }

  #remember(
    stored: Stored<TokenRecord>,
    matched: readonly string[],
    cell: Cell<TokenRecord> | undefined,
    key: string,
    active: string,
    now: number,
  ): Proof | Unproved {
    const { activeId } = this.#base.keys
    const version = versionUnder(stored.value, activeId, active) ?? versionOf(stored.value, matched)
    if (version === undefined) return 'unknown'
    const proof = new Proof(key, stored, version, cell, this.#memo(stored.id, cell), this.#catalog, this.#limits, now)
    this.#proofs.add(proof)
    const earned = version.state !== 'retired' && version.digests[activeId] === undefined
    if (earned) this.#addedDigests.add(stored.id, version.n, active)
    return proof
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
      if (this.#memos.size >= this.#cacheSize) this.#memos.delete(this.#memos.keys().next().value as string)
      memo = new TokenMemo()
      this.#memos.set(id, memo)
    }
    return memo
  }

  /** A remembered string, on a store with cells. */
  #lookAgain(proof: Proof, cell: Cell<TokenRecord>, key: string, now: number): Proof | Unproved {
    let stored: Stored<TokenRecord> | undefined
    try {
      stored = cell.current
    } catch (error) {
      return this.#staleOr(proof, error, now)
    }
    if (stored !== proof.stored && !(stored !== undefined && proof.refresh(stored))) {
      this.#proofs.delete(key)
      return 'unknown'
    }
    if (this.#staleIfError > 0) proof.readAt = now
    return proof
  }

  /** A remembered string, on a store without cells. */
  async #readAgain(proof: Proof, key: string, now: number): Promise<Proof | Unproved> {
    let stored: Stored<TokenRecord> | undefined
    try {
      stored = await this.#base.store.get(tokenKind, proof.stored.id)
    } catch (error) {
      return this.#staleOr(proof, error, now)
    }
    if (stored === undefined || (stored.revision !== proof.stored.revision && !proof.refresh(stored))) {
      this.#proofs.delete(key)
      return 'unknown'
    }
    proof.readAt = now
    return proof
  }

  #staleOr(proof: Proof, error: unknown, now: number): Proof | Unproved {
    const usable = this.#staleIfError > 0 && now - proof.readAt <= this.#staleIfError
    const unavailable = this.#failed(error, usable, now)
    return usable ? proof : unavailable
  }

  #failed(error: unknown, stale: boolean, at: number): Unproved {
    this.#base.events.emit('store.failed', { code: codeOf(error), stale, at })
    return 'unavailable'
  }
}
