import { tokenKind } from '../tokens/record.ts'
import { currentOf } from '../tokens/versions.ts'
import { Adoption } from './adoption.ts'
import { batchKind } from './batch-record.ts'
import type { StoredRotation } from './rotation-moves.ts'
import type { RotationParts } from './rotation-parts.ts'
import { rotationKind } from './rotation-record.ts'

/** What one turn did. */
export interface RotationTick {
  /** Rotations that were taken up, or given up. */
  readonly resumed: number
  /** Rotations whose older versions were found out of use. */
  readonly adopted: number
}

/** Rotations looked at in one turn, at most. */
const PER_TURN = 100
/** Rotations taken up at a time: each may wait for its hooks. */
const AT_ONCE = 8

const FORGET_EVERY = 3_600_000

/** What is due for rotations from time to time. */
export class RotationTurn {
  readonly #parts: RotationParts
  readonly #takeUp: (stored: StoredRotation) => Promise<StoredRotation[]>
  readonly #adoption: Adoption
  /** Where the last look at old history ended, and when the next begins. */
  #forgotten: string | undefined
  #nextForget = 0

  /**
   * @param parts - what the rotator is made of
   * @param takeUp - takes one rotation up
   */
  constructor(parts: RotationParts, takeUp: (stored: StoredRotation) => Promise<StoredRotation[]>) {
    this.#parts = parts
    this.#takeUp = takeUp
    this.#adoption = new Adoption(parts)
  }

  /** Does what is due; what fails for one rotation doesn't hold up the others, and is thrown at the end. */
  async run(): Promise<RotationTick> {
    const { base, moves } = this.#parts
    let resumed = 0
    let adopted = 0
    const now = await base.store.time()
    const { items } = await base.store.list(rotationKind, { index: 'due', to: now + 1, limit: PER_TURN })
    const errors = await each(items, async (stored) => {
      const { status } = stored.value
      if (status === 'done') adopted += (await this.#adoption.check(stored)) ? 1 : 0
      else {
        resumed += 1
        // The deadline of a stalled one's version has come.
        if (status === 'stalled') await moves.giveUp({ stored, text: undefined }, 'pending_ended')
        else await this.#takeUp(stored)
      }
    })
    await this.#forget(base.clock.now())
    if (errors.length > 0) throw errors[0]
    return { resumed, adopted }
  }

  /** Takes up all the rotations that no process is at, however many others are due to be looked at. */
  async resumeDue(): Promise<StoredRotation[]> {
    const { store } = this.#parts.base
    const now = await store.time()
    const resumed: StoredRotation[] = []
    const errors: unknown[] = []
    for (let cursor: string | undefined; ; ) {
      const page = await store.list(rotationKind, { index: 'status', in: 'running', limit: PER_TURN, cursor })
      const left = page.items.filter(({ value: { dueAt = 0 } }) => dueAt <= now)
      errors.push(...(await each(left, async (stored) => void resumed.push(...(await this.#takeUp(stored))))))
      cursor = page.cursor
      if (cursor === undefined) break
    }
    if (errors.length > 0) throw errors[0]
    return resumed
  }

  /** Removes ended rotations, but for those that made a token's current version; and old batches. A page at a time. */
  async #forget(now: number): Promise<void> {
    if (now < this.#nextForget) return
    const { base, settings } = this.#parts
    const { store, commits } = base
    const to = now - settings.history
    const page = await store.list(rotationKind, { index: 'ended', to, limit: PER_TURN, cursor: this.#forgotten })
    const gone: StoredRotation[] = []
    for (const stored of page.items) {
      const token = await store.get(tokenKind, stored.value.token)
      if (token === undefined || currentOf(token.value.versions).n !== stored.value.version) gone.push(stored)
    }
    await commits.put(gone.map(({ id, revision }) => ({ kind: rotationKind, id, remove: true, expected: revision })))
    this.#forgotten = page.cursor
    if (page.cursor !== undefined) return
    this.#nextForget = now + FORGET_EVERY
    const batches = await store.list(batchKind, { index: 'started', to, limit: PER_TURN })
    await commits.put(batches.items.map(({ id }) => ({ kind: batchKind, id, remove: true })))
  }
}

/** Does some work for each, a few at a time. Answers what was thrown. */
async function each(
  items: readonly StoredRotation[],
  work: (stored: StoredRotation) => Promise<void>,
): Promise<readonly unknown[]> {
  const queue = items.values()
  const errors: unknown[] = []
  const worker = async (): Promise<void> => {
    for (const stored of queue) {
      try {
        await work(stored)
      } catch (error) {
        errors.push(error)
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, worker))
  return errors
}
