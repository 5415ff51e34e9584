import { KeyInUseError, type KeyRecord, KeyRingMismatchError, keyKind } from '../stores/key-check.ts'
import type { ScanRow } from '../stores/token-store.ts'
import type { KeyRing } from '../tokens/key-ring.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import { liveVersions } from '../tokens/versions.ts'
import type { Outcome } from './judge.ts'

/** Finds out, before anything is written, whether a ring can prove the tokens that a restore would bring. */
export class KeyFit {
  readonly #ring: KeyRing
  readonly #now: number
  #familiar = false
  #stranded: { readonly key: string; readonly service: string } | undefined

  /**
   * @param ring - the ring of the store that is restored into
   * @param now - the instant that decides which versions live, epoch ms
   */
  constructor(ring: KeyRing, now: number) {
    this.#ring = ring
    this.#now = now
  }

  /**
   * Looks at a record of the archive.
   *
   * @param to - what it would become in the store; absent = nothing is written
   * @throws KeyRingMismatchError when a key of the ring has another secret than the archived tokens were made under
   */
  see(row: ScanRow, to: Outcome | undefined): void {
    if (row.kind === keyKind.name && 'value' in row) this.#seeKey(row.value as KeyRecord)
    if (row.kind === tokenKind.name && to !== undefined && 'value' in to) this.#seeToken(to.value as TokenRecord)
  }

  /**
   * Judges what was seen.
   *
   * @throws KeyInUseError, KeyRingMismatchError
   */
  check(): void {
    if (this.#stranded === undefined) return
    const { key, service } = this.#stranded
    if (this.#familiar) throw new KeyInUseError(key, service)
    throw new KeyRingMismatchError(
      `none of the ring's keys (${this.#ring.ids.join(', ')}) proves the archived tokens, which were made under '${key}'`,
    )
  }

  #seeKey({ id, check }: KeyRecord): void {
    if (!this.#ring.ids.includes(id)) return
    if (this.#ring.checkValue(id) !== check) {
      throw new KeyRingMismatchError(
        `the key '${id}' has another secret than the one that the archived tokens were made under`,
      )
    }
    this.#familiar = true
  }

  #seeToken(token: TokenRecord): void {
    if (token.revoked !== undefined || this.#stranded !== undefined) return
    for (const { digests } of liveVersions(token.versions, token.lifetime, this.#now)) {
      const keys = Object.keys(digests)
      if (keys.some((id) => id.startsWith(':') || this.#ring.ids.includes(id))) continue
      this.#stranded = { key: keys[0] ?? '', service: token.service }
    }
  }
}
