import { hash } from 'node:crypto'
import type { Unproved } from '../access/provable.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { hasSignedForm, isWellFormed, MAX_SIGNED_LENGTH } from '../tokens/format.ts'
import type { KnownFormats } from '../tokens/known-formats.ts'
import { CellProofs } from './cell-proofs.ts'
import type { Proof } from './proof.ts'
import { ProofShelf, type ProofShelfOptions } from './proof-shelf.ts'
import { RemoteProofs } from './remote-proofs.ts'

/** What a {@link Prover} is made from. */
export interface ProverOptions extends ProofShelfOptions {
  readonly formats: KnownFormats
  /** For a store without cells: how old may be what was read, ms. */
  readonly maxStaleness: number
}

/**
 * Finds the token that a string is a version of. A string seen before is recognised by its SHA-256 and costs one
 * look at the record; a new one costs a keyed digest and a look-up.
 */
export class Prover {
  readonly #formats: KnownFormats
  readonly #shelf: ProofShelf
  readonly #source: CellProofs | RemoteProofs

  /** @param options - what it works with */
  constructor(options: ProverOptions) {
    const { base, maxStaleness } = options
    this.#formats = options.formats
    this.#shelf = new ProofShelf(options)
    this.#source = hasCells(base.store)
      ? new CellProofs(base, base.store, this.#shelf)
      : new RemoteProofs(base, this.#shelf, maxStaleness)
  }

  /**
   * The proof of a string, with what the record says now; a value where the store is in this process, or what was read
   * is fresh.
   *
   * @param text - what was presented, not empty
   * @param now - epoch ms
   */
  prove(text: string, now: number): MaybePromise<Proof | Unproved> {
    if (text.length > MAX_SIGNED_LENGTH) return 'malformed'
    // Only printable ASCII was ever remembered, and SHA-256 tells it from anything else: no scan for a known string.
    const key = hash('sha256', text, 'binary')
    const proof = this.#shelf.get(key)
    if (proof !== undefined) return this.#source.again(text, proof, key, now)
    if (!isWellFormed(text) || !this.#formats.accepts(text)) return 'malformed'
    // Only opaque tokens are known here, and none of them has that form.
    return hasSignedForm(text) ? 'unknown' : this.#source.first(text, key, now)
  }

  /** Lets go of the store. */
  close(): void {
    if (this.#source instanceof RemoteProofs) this.#source.close()
  }
}

function hasCells(store: TokenStore): store is TokenStore & Required<Pick<TokenStore, 'cell'>> {
  return store.cell !== undefined
}
