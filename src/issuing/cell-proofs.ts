import type { Unproved } from '../access/provable.ts'
import type { Stored } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Cell, TokenStore } from '../stores/token-store.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import { furtherKeys, type Proof } from './proof.ts'
import type { ProofShelf } from './proof-shelf.ts'

/** Reads a store that is in this process, by its live cells: the record that a proof is held to is the record itself. */
export class CellProofs {
  readonly #base: Pick<Foundation<object>, 'keys'>
  readonly #store: TokenStore & Required<Pick<TokenStore, 'cell'>>
  readonly #shelf: ProofShelf

  /**
   * @param base - the key ring
   * @param store - a store with cells
   * @param shelf - where proofs are kept
   */
  constructor(
    base: Pick<Foundation<object>, 'keys'>,
    store: TokenStore & Required<Pick<TokenStore, 'cell'>>,
    shelf: ProofShelf,
  ) {
    this.#base = base
    this.#store = store
    this.#shelf = shelf
  }

  /** The proof of a string that isn't remembered. */
  first(text: string, key: string, now: number): Proof | Unproved {
    const { keys } = this.#base
    const active = keys.digest(text)
    let matched = [active]
    let cell: Cell<TokenRecord> | undefined
    let stored: Stored<TokenRecord> | undefined
    try {
      cell = this.#store.cell(tokenKind, 'digest', active)
      if (cell === undefined) {
        matched = furtherKeys(keys, text, now)
        for (const candidate of matched) {
          cell = this.#store.cell(tokenKind, 'digest', candidate)
          if (cell !== undefined) break
        }
      }
      stored = cell?.current
    } catch (error) {
      return this.#shelf.failed(error, false, now)
    }
    return stored === undefined ? 'unknown' : this.#shelf.keep(stored, matched, cell, key, active, now)
  }

  /** A remembered proof, brought up to what the record says now. */
  again(text: string, proof: Proof, key: string, now: number): Proof | Unproved {
    let stored: Stored<TokenRecord> | undefined
    try {
      stored = proof.cell?.current
    } catch (error) {
      return this.#shelf.staleOr(proof, error, now)
    }
    if (stored !== proof.stored && !(stored !== undefined && proof.refresh(stored))) {
      this.#shelf.drop(key)
      return this.first(text, key, now)
    }
    proof.readAt = now
    return proof
  }
}
