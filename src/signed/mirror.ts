import { codeOf } from '../kernel/errors.ts'
import type { MaybePromise } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import { KeyInUseError, KeyRingMismatchError } from '../stores/key-check.ts'

/** What a {@link Mirror} is made from. */
export interface MirrorOptions {
  readonly base: Foundation<object>
  /** The kinds whose records are held in memory, by name. */
  readonly kinds: readonly string[]
  /** Reads them; records that were told to have changed are named, so that they are surely read. */
  readonly load: (changed: readonly { readonly kind: string; readonly id: string }[], all: boolean) => Promise<void>
  /** How old may be what was read, ms. */
  readonly maxStaleness: number
  /** When the store fails: how old may be what was read before, ms; 0 = refuse at once. */
  readonly staleIfError: number
  /** Told when the store failed. */
  readonly onFailure: (code: string, stale: boolean) => void
}

const MAX_CHANGED = 1000
const ALL_EVERY = 3_600_000
const MAX_ROUNDS = 3

/**
 * Keeps records of a store in memory: read before the first use, again when the store or a channel tells of a change, and in any case
 * within `maxStaleness`, the second half of which is used to read ahead, so that a busy process never waits.
 */
export class Mirror {
  readonly #options: MirrorOptions
  readonly #stop: () => void
  #changed = new Map<string, { readonly kind: string; readonly id: string }>()
  #allChanged = true
  #readAt = Number.NEGATIVE_INFINITY
  #allReadAt = Number.NEGATIVE_INFINITY
  #reading: Promise<boolean> | undefined

  /** @param options - what is held, and how it is read */
  constructor(options: MirrorOptions) {
    this.#options = options
    const { base, kinds } = options
    this.#stop = base.changes.hear({
      kinds,
      onChange: ({ kind, id }) => this.#note(kind, id),
      onLost: () => {
        this.#allChanged = true
      },
    })
  }

  /**
   * Makes sure that what is held is good.
   *
   * @returns `true` at once while it is; else a promise, of `false` when the store doesn't answer and nothing usable is held
   * @throws KeyRingMismatchError, KeyInUseError as rejections
   */
  ensure(now: number): MaybePromise<boolean> {
    const age = now - this.#readAt
    const { maxStaleness } = this.#options
    if (this.#changed.size > 0 || this.#allChanged || age < 0 || age >= maxStaleness) return this.refresh()
    if (age * 2 >= maxStaleness && this.#reading === undefined) void this.refresh().catch(() => {})
    return true
  }

  /** When what is held was read, epoch ms; -Infinity = never. */
  get readAt(): number {
    return this.#readAt
  }

  /** Reads now. Whoever comes while a read is under way that can't have seen his change waits for another. */
  refresh(): Promise<boolean> {
    this.#reading ??= this.#read().finally(() => {
      this.#reading = undefined
    })
    return this.#reading
  }

  /** Stops listening for changes. */
  close(): void {
    this.#stop()
  }

  #note(kind: string, id: string): void {
    if (this.#changed.size >= MAX_CHANGED) this.#allChanged = true
    else this.#changed.set(`${kind} ${id}`, { kind, id })
  }

  async #read(): Promise<boolean> {
    const { base, load, onFailure, staleIfError } = this.#options
    for (let round = 1; ; round++) {
      const now = base.clock.now()
      const changed = this.#changed
      const all = this.#allChanged || now - this.#allReadAt >= ALL_EVERY || now < this.#allReadAt
      this.#changed = new Map()
      this.#allChanged = false
      try {
        await base.ready()
        await load([...changed.values()], all)
      } catch (error) {
        for (const [key, change] of changed) this.#changed.set(key, change)
        if (all) this.#allChanged = true
        if (error instanceof KeyRingMismatchError || error instanceof KeyInUseError) throw error
        const stale = staleIfError > 0 && base.clock.now() - this.#readAt <= staleIfError
        onFailure(codeOf(error), stale)
        return stale
      }
      this.#readAt = now
      if (all) this.#allReadAt = now
      // Where changes never stop, what was read is as fresh as it gets.
      if ((this.#changed.size === 0 && !this.#allChanged) || round === MAX_ROUNDS) return true
    }
  }
}
