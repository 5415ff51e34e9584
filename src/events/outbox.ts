import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { HEALTHY, type HealthSource } from '../kernel/health.ts'
import { nextRevision, type Stored } from '../kernel/kind.ts'
import { nextTurn } from '../kernel/turn.ts'
import type { Row } from '../stores/commit.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import { type EventRecord, eventKind } from '../stores/outbox.ts'
import type { Page } from '../stores/token-store.ts'
import { type DeadLetter, deadLetterKind } from './dead-letter.ts'
import type { OutboxEvents } from './events.ts'
import { type Claimed, type Outcome, type Settlement, settle } from './settlement.ts'
import { checkSubscribers, deliver, type Subscriber } from './subscribers.ts'

/** How an {@link Outbox} delivers. */
export interface OutboxSettings {
  /** How long one delivery may take. Default 30 s. */
  readonly timeout?: Duration | undefined
  /** How long an event is tried before it becomes a dead letter. Default 7 d. */
  readonly deadAfter?: Duration | undefined
}

/** What an {@link Outbox} is made from. */
export type OutboxOptions = FoundationSource<OutboxEvents> & {
  /** Who gets every event. Default nobody. */
  readonly subscribers?: readonly Subscriber[] | undefined
  /** How they get it. */
  readonly outbox?: OutboxSettings | undefined
}

/** What one turn did. */
export interface OutboxReport {
  /** Events that every subscriber has taken. */
  readonly delivered: number
  /** Events that some subscriber failed to take; they are tried again. */
  readonly failed: number
  /** Events that were given up. */
  readonly dead: number
}

/** A range of what waits, or was given up. */
export interface OutboxQuery {
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined
  /** Where the page before ended. */
  readonly cursor?: string | undefined
}

/** Events claimed, delivered and settled at a time. */
const BATCH = 100
/** Events in one turn, at most: the rest comes with the next. */
const PER_TURN = 5000
/** A claim is for the delivery, and some seconds to settle it. */
const LEASE_MARGIN = 15_000
/** Dead letters that nobody looks after go after this long, ms. */
const DEAD_RETENTION = 90 * 86_400_000

/**
 * Hands the events of the outbox to their durable subscribers: at least once, in order per token, whatever crashes
 * between. An event is claimed by a conditional commit, so that instances rarely deliver the same one; one that fails
 * is tried again with a growing distance (1 s, doubling, at most 1 h), and holds back its own token's later events
 * only. After `deadAfter` it becomes a dead letter.
 *
 * @example
 * ```ts
 * const tokens = new Tokenwright({ store, keys, onEvent: [{ name: 'audit', handler: (event) => send(event) }] })
 * await tokens.tick() // or tokens.scheduler.start()
 * for (const letter of (await tokens.outbox.deadLetters()).items) await tokens.outbox.retry(letter.id)
 * ```
 */
export class Outbox {
  readonly #base: Foundation<OutboxEvents>
  readonly #subscribers: readonly Subscriber[]
  readonly #timeout: number
  readonly #deadAfter: number
  #turn: Promise<OutboxReport> | undefined

  /**
   * @param options - store, keys, the subscribers, and how they get events
   * @throws InvalidInputError for subscribers or settings that can't be used
   */
  constructor(options: OutboxOptions) {
    this.#base = Foundation.of(options)
    this.#subscribers = checkSubscribers(options.subscribers)
    const settings = options.outbox ?? {}
    checkFields('outbox', settings, ['timeout', 'deadAfter'])
    this.#timeout = parseDuration('outbox.timeout', settings.timeout ?? '30s', { max: 3_600_000 })
    this.#deadAfter = parseDuration('outbox.deadAfter', settings.deadAfter ?? '7d')
  }

  /**
   * Delivers what is due; concurrent calls share one turn. Without subscribers it only gives up what waits for those of
   * an earlier deployment.
   *
   * @param now - the instant that decides what is due, epoch ms
   * @event outbox.dead
   */
  tick(now: number): Promise<OutboxReport> {
    this.#turn ??= this.#run(now).finally(() => {
      this.#turn = undefined
    })
    return this.#turn
  }

  /**
   * The oldest event of each token that waits, by the time of its next delivery.
   *
   * @throws InvalidInputError for a limit out of range
   */
  async pending(query: OutboxQuery = {}): Promise<Page<EventRecord>> {
    const page = await this.#base.store.list(eventKind, { index: 'due', ...rangeOf(query) })
    return { ...page, items: page.items.map((stored) => stored.value) }
  }

  /**
   * Events that were given up, oldest first. They go by themselves after 90 days.
   *
   * @throws InvalidInputError for a limit out of range
   */
  async deadLetters(query: OutboxQuery = {}): Promise<Page<DeadLetter>> {
    const page = await this.#base.store.list(deadLetterKind, { index: 'died', ...rangeOf(query) })
    return { ...page, items: page.items.map((stored) => stored.value) }
  }

  /**
   * Puts a dead letter back, behind what waits for its token. Those who had taken it get it again, with the same id.
   *
   * @returns false when there is no such letter
   */
  async retry(id: string): Promise<boolean> {
    const { store, clock, commits } = this.#base
    const stored = await store.get(deadLetterKind, id)
    if (stored === undefined) return false
    const { name, token, payload } = stored.value
    const gone = { kind: deadLetterKind, id, remove: true, expected: stored.revision } as const
    return commits.put([gone], [{ id, name, token, at: clock.now(), payload }])
  }

  /**
   * Lets a dead letter go.
   *
   * @returns false when there is no such letter
   */
  async discard(id: string): Promise<boolean> {
    const { store, commits } = this.#base
    const stored = await store.get(deadLetterKind, id)
    if (stored === undefined) return false
    return commits.put([{ kind: deadLetterKind, id, remove: true, expected: stored.revision }])
  }

  /** Whether no event was given up. */
  async health(): Promise<HealthSource> {
    const { items, cursor } = await this.deadLetters({ limit: 1000 })
    if (items.length === 0) return HEALTHY
    const count = `${items.length}${cursor === undefined ? '' : ' or more'}`
    return { status: 'degraded', reasons: [`${count} events were given up; see outbox.deadLetters()`] }
  }

  async #run(now: number): Promise<OutboxReport> {
    const { store, clock } = this.#base
    const started = clock.monotonic()
    const total = { delivered: 0, failed: 0, dead: 0 }
    const age = this.#subscribers.length === 0 ? this.#deadAfter : 0
    for (let seen = 0; seen < PER_TURN; ) {
      // Always from the start: a token's next event becomes due when the one before is settled.
      const at = now + Math.floor(clock.monotonic() - started)
      const { items } = await store.list(eventKind, { index: 'due', to: at - age + 1, limit: BATCH })
      const claimed = await this.#claim(items, at)
      // What others have claimed they deliver.
      if (claimed.length === 0) break
      const report = await this.#deliver(claimed, at)
      total.delivered += report.delivered
      total.failed += report.failed
      total.dead += report.dead
      seen += items.length
      // A store in this process answers without waiting: others have their turn here.
      await nextTurn()
    }
    await this.#sweep(now)
    return total
  }

  /** Takes events for this instance: all at once, or one by one where others took some of them. */
  async #claim(due: readonly Stored<EventRecord>[], now: number): Promise<Claimed[]> {
    const { store, commits } = this.#base
    // A process that has the store for itself runs one turn at a time.
    if (!store.durability().multiProcess) return due.map(({ id, revision, value }) => ({ id, revision, event: value }))
    const claims = due.map(({ id, revision, value }) => {
      const event: EventRecord = { ...value, dueAt: now + this.#timeout + LEASE_MARGIN }
      const row: Row = { kind: eventKind, id, value: event, expected: revision }
      return { row, claimed: { id, revision: nextRevision(revision), event } }
    })
    if (await commits.put(claims.map(({ row }) => row))) return claims.map(({ claimed }) => claimed)
    const taken: Claimed[] = []
    for (const { row, claimed } of claims) if (await commits.put([row])) taken.push(claimed)
    return taken
  }

  async #deliver(claimed: readonly Claimed[], now: number): Promise<OutboxReport> {
    const { clock, commits, events } = this.#base
    const report = { delivered: 0, failed: 0, dead: 0 }
    const started = clock.monotonic()
    const outcomes = await Promise.all(claimed.map(({ event }) => this.#offer(event)))
    const at = now + Math.floor(clock.monotonic() - started)
    const settlements = claimed.map((one, i) => settle(one, outcomes[i] as Outcome, at, this.#deadAfter))
    const together = await commits.put(settlements.flatMap(({ rows }) => rows))
    for (let i = 0; i < claimed.length; i++) {
      const { fate, rows } = settlements[i] as Settlement
      // One that another instance has taken over meanwhile is that one's to settle.
      if (!together && !(await commits.put(rows))) continue
      report[fate] += 1
      if (fate !== 'dead') continue
      const { id, name, token } = (claimed[i] as Claimed).event
      events.emit('outbox.dead', { id, event: name, token, waiting: (outcomes[i] as Outcome).waiting, at })
    }
    return report
  }

  /** Hands one event to those who don't have it yet. */
  async #offer({ id, name, token, at, payload, acknowledged, attempts }: EventRecord): Promise<Outcome> {
    const { clock, events } = this.#base
    const open = this.#subscribers.filter((subscriber) => acknowledged?.includes(subscriber.name) !== true)
    const given = { id, name, token, at, payload }
    const answers = await Promise.all(
      open.map((subscriber) => deliver(subscriber, given, (attempts ?? 0) + 1, clock, this.#timeout)),
    )
    const taken: string[] = []
    const waiting: string[] = []
    let code: string | undefined
    for (const [i, answer] of answers.entries()) {
      const { name: subscriber } = open[i] as Subscriber
      if (answer.ok) taken.push(subscriber)
      else {
        waiting.push(subscriber)
        code = answer.code
        events.listenerFailed(name, answer.error)
      }
    }
    return { done: waiting.length === 0 && this.#subscribers.length > 0, taken, waiting, code }
  }

  async #sweep(now: number): Promise<void> {
    const { store, commits } = this.#base
    const { items } = await store.list(deadLetterKind, { index: 'died', to: now - DEAD_RETENTION, limit: BATCH })
    await commits.put(items.map(({ id }) => ({ kind: deadLetterKind, id, remove: true })))
  }
}

function rangeOf(query: OutboxQuery): { readonly limit: number; readonly cursor?: string | undefined } {
  checkFields('query', query, ['limit', 'cursor'])
  const { limit = 100, cursor } = query
  if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
    throw new InvalidInputError('limit', 'must be a whole number from 1 to 1000', 'leave it out for 100')
  }
  return { limit, cursor }
}
