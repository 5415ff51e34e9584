import { hash } from 'node:crypto'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { abbreviated, codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { Turns } from '../kernel/turn.ts'
import { type Attribution, checkAttribution } from '../stores/commit.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { lastEnd } from '../tokens/versions.ts'
import { type BatchRecord, batchKind } from './batch-record.ts'
import {
  type BulkSelection,
  type Candidate,
  type CheckedSelection,
  candidates,
  checkSelection,
} from './bulk-selection.ts'
import { NoRecipientError } from './errors.ts'
import type { RotationHooks, ValueContext } from './hooks.ts'
import { checkOrigin, checkRotationId, checkWhenInGrace } from './rotate-options.ts'
import type { RotationParts } from './rotation-parts.ts'
import { type RotationOrigin, type RotationRecord, type RotationStatus, rotationKind } from './rotation-record.ts'
import type { StartRequest, WhenInGrace } from './start.ts'

/** What `onRotated` of a bulk rotation gets. */
export interface BulkRotated {
  readonly service: string
  /** The new text. It verifies already; the old one gets its deadline once this is done. */
  readonly token: string
  readonly record: TokenView
}

/** How to rotate many. */
export interface BulkRotateOptions extends BulkSelection, Attribution {
  /** What else decides whether a token is rotated; called once a token, and must be quick. */
  readonly filter?: ((token: TokenView) => boolean) | undefined
  /** Names the batch: the same id again carries it on, and does only what isn't done. Default: a new one. */
  readonly batchId?: string | undefined
  /** As for one rotation. */
  readonly grace?: Duration | undefined
  /** As for one rotation. */
  readonly whenInGrace?: WhenInGrace | undefined
  /** How many at a time. 1 to 256. Default 16. */
  readonly concurrency?: number | undefined
  /** Stops between two tokens; what is under way is finished. */
  readonly signal?: AbortSignal | undefined
  /** Told after each token: how many are done, of how many. */
  readonly onProgress?: ((done: number, total: number) => void) | undefined
  /** Hands each new value on; awaited. One that throws leaves that token's old version current. */
  readonly onRotated?: ((rotated: BulkRotated) => unknown) | undefined
  /** The rule and the slot that it comes from. */
  readonly origin?: RotationOrigin | undefined
}

/** One token that wasn't rotated, and why. */
export interface BulkItem {
  /** Its name; of one that isn't there, and is longer than 20 characters, the first six. */
  readonly service: string
  /** The token's id; absent when there is no such token. */
  readonly id?: string
  /** `no_recipient`, `disabled`, `expired`, `not_found`; or the error's code, or the rotation's status. */
  readonly code: string
}

/** What a bulk rotation did. */
export interface BulkReport {
  readonly batchId: string
  /** Tokens of the selection. */
  readonly total: number
  /** Tokens that have a new current version by this batch, those of an earlier run with the same id counted. */
  readonly rotated: number
  /** Those that failed; again with the same `batchId`, they are tried again. At most 10,000 are listed. */
  readonly failed: readonly BulkItem[]
  /** Those that can't be rotated as they are. At most 10,000 are listed. */
  readonly skipped: readonly BulkItem[]
  /** Failed and skipped ones that aren't listed. */
  readonly omitted: number
  /** Whether `signal`, or the closing of the rotator, stopped it before its end. */
  readonly aborted: boolean
}

const FIELDS: readonly string[] = [
  ...['services', 'oldest', 'olderThan', 'where', 'filter', 'batchId', 'grace', 'whenInGrace', 'concurrency'],
  ...['signal', 'onProgress', 'onRotated', 'origin', 'actor', 'reason'],
]

/** Items listed in a report, of each sort. */
const MAX_LISTED = 10_000
/** Rotations of one token in one batch, at most: given up and begun anew. */
const MAX_TRIES = 5

/** What rotates one token, or takes its rotation up. */
export type RotateOne = (
  id: string,
  request: StartRequest,
) => Promise<{
  readonly status: RotationStatus
  readonly replayed: boolean
  /** As what it was found, when it had been begun before. */
  readonly found?: RotationStatus
}>

type Outcome =
  | { readonly fate: 'rotated' }
  | { readonly fate: 'seen' }
  | { readonly fate: 'failed' | 'skipped'; readonly item: BulkItem }

/** What earlier runs of a batch have done. */
interface Earlier {
  /** How many tokens are done. */
  readonly done: number
  /** Tokens whose new version is current, but not handed out: no selection by age meets them again. */
  readonly left: ReadonlySet<string>
}

/** Rotated by this batch before: counted then. */
const SEEN: Outcome = { fate: 'seen' }

/** Rotates many tokens, in any order, each on its own: what fails for one is told, and the others go on. */
export class BulkRotation {
  readonly #parts: RotationParts
  readonly #rotate: RotateOne
  readonly #newId: () => string

  /**
   * @param parts - what the rotator is made of
   * @param rotate - rotates one token, or takes its rotation up
   * @param newId - makes batch ids
   */
  constructor(parts: RotationParts, rotate: RotateOne, newId: () => string) {
    this.#parts = parts
    this.#rotate = rotate
    this.#newId = newId
  }

  /** Rotates what is selected. */
  async run(options: BulkRotateOptions): Promise<BulkReport> {
    checkFields('options', options, FIELDS)
    const selection = checkSelection(options)
    const { filter, concurrency = 16, signal } = options
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
      throw new InvalidInputError('concurrency', 'must be a whole number from 1 to 256', 'leave it out for 16')
    }
    for (const name of ['filter', 'onProgress', 'onRotated'] as const) {
      if (options[name] !== undefined && typeof options[name] !== 'function') {
        throw new InvalidInputError(name, 'is not a function', 'give a function, or leave it out')
      }
    }
    const grace = options.grace === undefined ? undefined : parseDuration('grace', options.grace, { allowZero: true })
    const shared = {
      by: checkAttribution(options),
      grace,
      whenInGrace: checkWhenInGrace(options.whenInGrace),
      token: undefined,
      force: false,
      awaited: options.onRotated !== undefined,
      retireWhenQuiet: false,
    }
    const from = options.origin === undefined ? undefined : checkOrigin(options.origin)
    const { base, closing } = this.#parts
    await base.ready()
    const { id, startedAt, total, done, left } = await this.#batch(options.batchId, selection, filter)
    const origin = { ...from, batch: id }
    const tally = new Tally(done)
    const limit = selection.by === 'oldest' ? total - done : Number.POSITIVE_INFINITY
    const queue = this.#queue(left, candidates(base.store, selection, startedAt, filter))
    let taken = 0
    const turns = new Turns(base.clock)
    const stopped = (): boolean => signal?.aborted === true || closing.aborted
    const work = async (): Promise<void> => {
      while (!stopped() && taken < limit) {
        taken += 1
        const next = await queue.next()
        if (next.done === true) return
        const hooks = this.#hooks(next.value.service, options.onRotated)
        tally.add(await this.#one(next.value, { ...shared, origin, hooks }, id))
        try {
          options.onProgress?.(Math.min(tally.done, total), total)
        } catch (error) {
          base.events.listenerFailed('rotation.progress', error)
        }
        const others = turns.due()
        if (others !== undefined) await others
      }
    }
    await Promise.all(Array.from({ length: concurrency }, work))
    return tally.report(id, total, stopped())
  }

  /** What an earlier run has left, then what is selected, each once. */
  async *#queue(left: ReadonlySet<string>, selected: AsyncGenerator<Candidate>): AsyncGenerator<Candidate> {
    for (const id of left) {
      const stored = await this.#parts.base.store.get(tokenKind, id)
      if (stored !== undefined && stored.value.revoked === undefined) yield { service: stored.value.service, stored }
    }
    for await (const candidate of selected) {
      if (candidate.stored === undefined || !left.has(candidate.stored.id)) yield candidate
    }
  }

  /** Rotates one token, under an id of its own in the batch. */
  async #one({ service, stored }: Candidate, request: Omit<StartRequest, 'id'>, batch: string): Promise<Outcome> {
    if (stored === undefined) return { fate: 'skipped', item: { service: abbreviated(service), code: 'not_found' } }
    const { id, value } = stored
    const skipped = (code: string): Outcome => ({ fate: 'skipped', item: { service, id, code } })
    const failed = (code: string): Outcome => ({ fate: 'failed', item: { service, id, code } })
    const unfit = unfitFor(value, this.#parts.base.clock.now())
    if (unfit !== undefined) return skipped(unfit)
    try {
      for (let attempt = 1; attempt <= MAX_TRIES; attempt++) {
        const rotation = attempt === 1 ? `${batch}.${id}` : `${batch}.${id}.${attempt}`
        const { status, replayed, found } = await this.#rotate(id, { ...request, id: rotation })
        if (status === 'done') return found === 'done' ? SEEN : { fate: 'rotated' }
        // An earlier run's was given up: its text was lost, or somebody abandoned it.
        if (replayed && (status === 'abandoned' || status === 'rolled_back')) continue
        return failed(status)
      }
      return failed('abandoned')
    } catch (error) {
      return error instanceof NoRecipientError ? skipped('no_recipient') : failed(codeOf(error))
    }
  }

  /** The registered hooks, with `onRotated` behind `publish`: a value isn't out before it has been handed on. */
  #hooks(service: string, onRotated: BulkRotateOptions['onRotated']): RotationHooks | undefined {
    if (onRotated === undefined) return undefined
    const hooks = this.#parts.settings.hooks.of(service)
    const publish = async (context: ValueContext) => {
      const answer = await hooks.publish?.(context)
      if (answer !== undefined && answer !== 'ok') return answer
      await onRotated({ service, token: context.token, record: context.record })
      return 'ok'
    }
    return { ...hooks, publish }
  }

  /** The batch of this id, made now unless it is there, with what of it is done. */
  async #batch(
    given: string | undefined,
    selection: CheckedSelection,
    filter: BulkRotateOptions['filter'],
  ): Promise<BatchRecord & Earlier> {
    const { store, commits, clock } = this.#parts.base
    const id = given === undefined ? this.#newId() : checkRotationId('batchId', given)
    const text = JSON.stringify(selection)
    const digest = hash('sha256', text, 'base64url')
    let known = await store.get(batchKind, id)
    if (known === undefined) {
      // An age is told by the store's time, as rules tell it: a clock that is behind would find a version of today's slot too young.
      const startedAt = selection.by === 'age' ? await store.time() : clock.now()
      const total = await this.#count(selection, startedAt, filter)
      const value: BatchRecord = { id, selection: digest, startedAt, total }
      if (await commits.put([{ kind: batchKind, id, value, expected: 0 }]))
        return { ...value, done: 0, left: new Set() }
      known = await store.get(batchKind, id)
    }
    if (known?.value.selection !== digest) {
      throw new InvalidInputError('batchId', 'is that of another selection', 'give the same selection, or another id')
    }
    return { ...known.value, ...(await this.#earlier(id)) }
  }

  /** What earlier runs of a batch have done. */
  async #earlier(batch: string): Promise<Earlier> {
    let done = 0
    const left = new Set<string>()
    for (let cursor: string | undefined; ; ) {
      const query = { index: 'batch', in: batch, limit: 1000, cursor } as const
      const page = await this.#parts.base.store.list(rotationKind, query)
      for (const { value } of page.items) {
        if (value.status === 'done') done += 1
        else if (value.switchedAt !== undefined && isOpen(value)) left.add(value.token)
      }
      cursor = page.cursor
      if (cursor === undefined) return { done, left }
    }
  }

  /** How many tokens are selected. */
  async #count(selection: CheckedSelection, startedAt: number, filter: BulkRotateOptions['filter']): Promise<number> {
    const { store, clock } = this.#parts.base
    if (selection.by === 'services' && filter === undefined) return selection.services.length
    const most = selection.by === 'oldest' ? selection.count : Number.POSITIVE_INFINITY
    let total = 0
    const turns = new Turns(clock)
    for await (const _ of candidates(store, selection, startedAt, filter)) {
      total += 1
      if (total === most) break
      const others = total % 100 === 0 ? turns.due() : undefined
      if (others !== undefined) await others
    }
    return total
  }
}

/** Whether a rotation is under way, or waits for somebody. */
function isOpen({ status }: RotationRecord): boolean {
  return status === 'running' || status === 'stalled'
}

/** Why a token can't be rotated as it is. */
function unfitFor(token: TokenRecord, now: number): string | undefined {
  if (token.disabled !== undefined) return 'disabled'
  return now >= lastEnd(token.versions, token.lifetime) ? 'expired' : undefined
}

/** Counts what became of the tokens, and keeps so many of the troubles. */
class Tally {
  #rotated: number
  #omitted = 0
  readonly #failed: BulkItem[] = []
  readonly #skipped: BulkItem[] = []

  constructor(rotated: number) {
    this.#rotated = rotated
  }

  get done(): number {
    return this.#rotated + this.#failed.length + this.#skipped.length + this.#omitted
  }

  add(outcome: Outcome): void {
    if (outcome.fate === 'rotated') this.#rotated += 1
    else if (outcome.fate !== 'seen') {
      const list = outcome.fate === 'failed' ? this.#failed : this.#skipped
      if (list.length < MAX_LISTED) list.push(outcome.item)
      else this.#omitted += 1
    }
  }

  report(batchId: string, total: number, aborted: boolean): BulkReport {
    return {
      batchId,
      total,
      rotated: this.#rotated,
      failed: this.#failed,
      skipped: this.#skipped,
      omitted: this.#omitted,
      aborted,
    }
  }
}
