import { StaleRevisionError } from '../stores/errors.ts'
import type { Foundation } from '../stores/foundation.ts'
import { tokenKind } from '../tokens/record.ts'
import type { IssuingEvents } from './events.ts'

interface Addition {
  readonly id: string
  readonly n: number
  readonly keyId: string
  readonly digest: string
}

const MAX_WAITING = 10_000
const PER_FLUSH = 200

/**
 * Digests under the active key that good verifications under an old key or an imported digest have earned. They wait
 * here and are written with the usage counts; a verification never waits for them. One that loses its race is dropped:
 * the next good verification earns it anew.
 */
export class AddedDigests {
  readonly #base: Foundation<IssuingEvents>
  readonly #waiting = new Map<string, Addition>()

  /** @param base - store, keys, time and events */
  constructor(base: Foundation<IssuingEvents>) {
    this.#base = base
  }

  /** Notes that version `n` of a token was proved and has no digest under the active key. */
  add(id: string, n: number, digest: string): void {
    if (this.#waiting.size >= MAX_WAITING) return
    this.#waiting.set(`${id}.${n}`, { id, n, keyId: this.#base.keys.activeId, digest })
  }

  /** How many wait. */
  get size(): number {
    return this.#waiting.size
  }

  /** Writes those that wait, at most 200 at a time. */
  async flush(): Promise<void> {
    for (const [key, addition] of [...this.#waiting].slice(0, PER_FLUSH)) {
      try {
        await this.#write(addition)
      } catch (error) {
        if (!(error instanceof StaleRevisionError)) throw error
      }
      this.#waiting.delete(key)
    }
  }

  async #write({ id, n, keyId, digest }: Addition): Promise<void> {
    const { store, clock } = this.#base
    const stored = await store.get(tokenKind, id)
    const version = stored?.value.versions.find((v) => v.n === n)
    if (stored === undefined || version === undefined || version.state === 'retired' || keyId in version.digests) return
    const { value: token, revision } = stored
    const digests = { ...version.digests, [keyId]: digest }
    const value = { ...token, versions: token.versions.map((v) => (v.n === n ? { ...v, digests } : v)) }
    const detail = { version: n, key: keyId }
    const change = { kind: tokenKind, id, revision, to: { value }, action: 'token.redigested', detail }
    const payload = { id, service: token.service, version: n, at: clock.now() }
    await this.#base.write({}, [change], [{ name: 'token.redigested', about: id, payload }])
  }
}
