import type { Unproved } from '../access/provable.ts'
import type { MaybePromise, Stored } from '../kernel/kind.ts'
import type { Foundation } from '../stores/foundation.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import type { IssuingEvents } from './events.ts'
import { furtherKeys, type Proof } from './proof.ts'
import type { ProofShelf } from './proof-shelf.ts'

/** How many strings are remembered as unknown, and for how long at most, ms: a token made elsewhere shows soon. */
const MAX_UNKNOWN = 10_000
const UNKNOWN_FOR = 1000
/** How many changed tokens are remembered one by one; beyond it everything counts as changed. */
const MAX_CHANGED = 10_000

/** A read under way. */
interface Read {
  readonly startedAt: number
  readonly outcome: Promise<Proof | Unproved>
}

/**
 * Reads a store that is elsewhere. What was read is good for `maxStaleness`; its deadlines hold to the millisecond all the
 * same. A change that this process makes is seen at once; one that the store's channel (`watch`) tells of, as soon as it
 * is told; any other within `maxStaleness`.
 */
export class RemoteProofs {
  readonly #base: Foundation<IssuingEvents>
  readonly #shelf: ProofShelf
  readonly #maxStaleness: number
  readonly #unknownFor: number
  /** Until when a string counts as unknown. */
  readonly #unknown = new Map<string, number>()
  readonly #reads = new Map<string, Read>()
  /** The number of the change by which each token was changed last. */
  readonly #changed = new Map<string, number>()
  /** Changes are numbered; a proof is of the state after those that had come when its read began. */
  #changes = 0
  #allChangedAt = 0
  readonly #readUnder = new WeakMap<Proof, number>()
  readonly #stop: () => void

  /**
   * @param base - store, keys and time
   * @param shelf - where proofs are kept
   * @param maxStaleness - how old may be what was read, ms; 0 = every check reads
   */
  constructor(base: Foundation<IssuingEvents>, shelf: ProofShelf, maxStaleness: number) {
    this.#base = base
    this.#shelf = shelf
    this.#maxStaleness = maxStaleness
    this.#unknownFor = Math.min(maxStaleness, UNKNOWN_FOR)
    this.#stop = base.changes.hear({
      kinds: [tokenKind.name],
      onChange: ({ id }) => this.#note(id),
      onLost: () => this.#noteAll(),
    })
  }

  /** Stops listening for changes. */
  close(): void {
    this.#stop()
  }

  /** The proof of a string that isn't remembered. */
  first(text: string, key: string, now: number): MaybePromise<Proof | Unproved> {
    const until = this.#unknown.get(key)
    if (until !== undefined) {
      if (now < until) return 'unknown'
      this.#unknown.delete(key)
    }
    return this.#read(key, now, () => this.#find(text, key, now))
  }

  /** A remembered proof: as it is while it is fresh, else read again. */
  again(text: string, proof: Proof, key: string, now: number): MaybePromise<Proof | Unproved> {
    if (now - proof.readAt < this.#maxStaleness && now >= proof.readAt && this.#isCurrent(proof)) return proof
    return this.#read(key, now, () => this.#get(text, proof, key, now))
  }

  /** One read at a time for a string; whoever comes while it could still have been begun for him waits for it. */
  #read(key: string, now: number, begin: () => Promise<Proof | Unproved>): Promise<Proof | Unproved> {
    const running = this.#reads.get(key)
    if (running !== undefined && now - running.startedAt < this.#maxStaleness) return running.outcome
    const read: Read = {
      startedAt: now,
      outcome: begin().finally(() => {
        if (this.#reads.get(key) === read) this.#reads.delete(key)
      }),
    }
    this.#reads.set(key, read)
    return read.outcome
  }

  async #find(text: string, key: string, now: number): Promise<Proof | Unproved> {
    const { store, keys } = this.#base
    const active = keys.digest(text)
    const under = this.#changes
    // Nearly every token stands under the active key: who asks for that alone asks for less, and need not hash more. What
    // isn't found so is looked for under all keys, the active one with them: it may have been added in between.
    let candidates: readonly string[] = [active]
    let stored: Stored<TokenRecord> | undefined
    try {
      stored = await store.find(tokenKind, 'digest', candidates)
      if (stored === undefined) {
        candidates = [active, ...furtherKeys(keys, text, now)]
        stored = await store.find(tokenKind, 'digest', candidates)
      }
    } catch (error) {
      return this.#shelf.failed(error, false, now)
    }
    if (stored === undefined) {
      // Made in the meantime, perhaps: then it isn't remembered as unknown.
      if (under === this.#changes) this.#rememberUnknown(key, now)
      return 'unknown'
    }
    const proof = this.#shelf.keep(stored, candidates, undefined, key, active, now)
    if (typeof proof !== 'string') this.#readUnder.set(proof, under)
    return proof
  }

  async #get(text: string, proof: Proof, key: string, now: number): Promise<Proof | Unproved> {
    const under = this.#changes
    let stored: Stored<TokenRecord> | undefined
    try {
      stored = await this.#base.store.get(tokenKind, proof.stored.id)
    } catch (error) {
      return this.#shelf.staleOr(proof, error, now)
    }
    if (stored === undefined || (stored.revision !== proof.stored.revision && !proof.refresh(stored))) {
      this.#shelf.drop(key)
      return this.#find(text, key, now)
    }
    proof.readAt = now
    this.#readUnder.set(proof, under)
    return proof
  }

  /** Whether nothing is known to have changed since the proof was read. */
  #isCurrent(proof: Proof): boolean {
    if (this.#changes === 0) return true
    const under = this.#readUnder.get(proof) ?? 0
    return under >= this.#allChangedAt && under >= (this.#changed.get(proof.stored.id) ?? 0)
  }

  #note(id: string): void {
    this.#changes += 1
    if (this.#changed.size >= MAX_CHANGED && !this.#changed.has(id)) this.#noteAll()
    this.#changed.set(id, this.#changes)
    // Whatever was unknown may be this very token.
    this.#unknown.clear()
  }

  /** Anything may have changed. */
  #noteAll(): void {
    this.#changes += 1
    this.#changed.clear()
    this.#unknown.clear()
    this.#allChangedAt = this.#changes
  }

  #rememberUnknown(key: string, now: number): void {
    if (this.#unknownFor === 0) return
    if (this.#unknown.size >= MAX_UNKNOWN) this.#unknown.delete(this.#unknown.keys().next().value as string)
    this.#unknown.set(key, now + this.#unknownFor)
  }
}
