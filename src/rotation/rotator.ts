import { hash } from 'node:crypto'
import { TokenRevokedError } from '../issuing/errors.ts'
import { eventOf, type IssuingEvents } from '../issuing/events.ts'
import { type GenerateInput, Generator, type IssuingSettings } from '../issuing/generator.ts'
import { requireRecord, type TokenRef } from '../issuing/lookup.ts'
import { sealContext } from '../issuing/new-token.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, checkAttribution, retryStale } from '../stores/commit.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import type { Page } from '../stores/token-store.ts'
import { KnownFormats } from '../tokens/known-formats.ts'
import { tokenKind } from '../tokens/record.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { currentOf } from '../tokens/versions.ts'
import { DEFAULT_GRACE, viewOf } from '../tokens/view.ts'
import { type BulkReport, type BulkRotateOptions, BulkRotation, type RotateOne } from './bulk-rotation.ts'
import { NotRetrievableError, RotationNotFoundError } from './errors.ts'
import type { RotationEvents } from './events.ts'
import { NewValues } from './new-values.ts'
import { Resumption } from './resumption.ts'
import { checkOrigin, checkRotate, checkRotationId, type RotateOptions } from './rotate-options.ts'
import { RotationDriver } from './rotation-driver.ts'
import { type Driven, RotationMoves, type StoredRotation } from './rotation-moves.ts'
import type { RotationParts } from './rotation-parts.ts'
import { type RotationOrigin, type RotationView, rotationKind, rotationView } from './rotation-record.ts'
import { type RotationTick, RotationTurn } from './rotation-turn.ts'
import { checkSettings, type RotationSettings } from './settings.ts'
import { RotationStart, type Started, type StartRequest } from './start.ts'
import { RotationUndo } from './undo.ts'

/** What a {@link Rotator} is made from: of the defaults, `grace` counts for rotations. */
export type RotatorOptions = FoundationSource<IssuingEvents & RotationEvents> &
  IssuingSettings & {
    /** Hooks, time limits, patience. */
    readonly rotation?: RotationSettings | undefined
  }

/** What came of a rotation. Whether it is done is told by `rotation.status`: a stalled one is no exception. */
export interface Rotated {
  /**
   * The new token, the one time that it exists (unless it is retrievable). Missing when another process took the rotation over
   * meanwhile and drew another value: the one drawn here is none any more.
   */
  readonly token: string
  readonly record: TokenView
  readonly rotation: RotationView
}

/** What came of a rotation that may have been there before. */
export interface RotatedAgain extends Omit<Rotated, 'token'> {
  /** Absent when the rotation had been begun before, and the token isn't retrievable. */
  readonly token?: string
}

/** How to make a token that nobody asked for. */
export interface IssueOptions extends Attribution {
  /** Names it: the same id again makes no other. Default: a new one. */
  readonly rotationId?: string | undefined
  /** Where it comes from. */
  readonly origin: RotationOrigin
}

/** How to take a rotation up again. */
export interface ResumeOptions {
  /** The text of its version, where no copy of it is kept and the caller has it. */
  readonly token?: string | undefined
}

/** How to take a rotation back. */
export interface RollbackOptions extends Attribution {
  /** How long the version that is taken back verifies on. Default: that rotation's grace. */
  readonly grace?: Duration | undefined
}

/** A rotation that was given up, or taken back. */
export interface Undone {
  readonly record: TokenView | undefined
  readonly rotation: RotationView
}

/**
 * Gives tokens new versions without a gap: identity, scopes, limits, counters and history stay. With hooks, a new version
 * verifies before its consumers are told, becomes current when they have it, and the one before lives on through its
 * grace; a crash at any point leaves a state that {@link Rotator.resume} carries on from.
 *
 * @example
 * ```ts
 * const rotator = new Rotator({ store, keys, rotation: { hooks: { MY_API: { publish: ({ token }) => deploy(token) } } } })
 * const { rotation } = await rotator.rotate('MY_API', { grace: '1h', actor: 'alice', reason: 'quarterly' })
 * await rotator.rotate('MY_API', { grace: 0, reason: 'leaked in a log' }) // every older version fails from now on
 * ```
 */
export class Rotator {
  readonly #parts: RotationParts
  readonly #start: RotationStart
  readonly #resumption: Resumption
  readonly #undo: RotationUndo
  readonly #bulk: BulkRotation
  readonly #turn: RotationTurn
  readonly #ids: RisingIds
  readonly #closing = new AbortController()
  readonly #running = new Set<Promise<unknown>>()

  /**
   * @param options - store, keys and, if wanted, hooks, formats and defaults
   * @throws InvalidInputError for bad options
   */
  constructor(options: RotatorOptions) {
    const base = Foundation.of<IssuingEvents & RotationEvents>(options)
    const formats = options.formats instanceof KnownFormats ? options.formats : new KnownFormats(options.formats)
    const settings = checkSettings(options.rotation)
    const grace = parseDuration('defaults.grace', options.defaults?.grace ?? DEFAULT_GRACE, { allowZero: true })
    const values = new NewValues(base, formats)
    const moves = new RotationMoves(base, values, settings)
    const driver = new RotationDriver(base, moves, settings)
    this.#parts = { base, settings, values, moves, driver, grace, closing: this.#closing.signal }
    const { scopes, defaults } = options
    this.#start = new RotationStart(this.#parts, new Generator({ foundation: base, scopes, formats, defaults }))
    this.#resumption = new Resumption(this.#parts)
    this.#undo = new RotationUndo(this.#parts)
    this.#ids = new RisingIds(base.random)
    this.#bulk = new BulkRotation(
      this.#parts,
      (id, request) => this.#rotateOne(id, request),
      () => this.#newId('bat'),
    )
    this.#turn = new RotationTurn(this.#parts, (stored) => this.#takeUp(stored, undefined, false))
  }

  /**
   * Makes a new version. Without hooks it is current at once; with them it is published and tested first (with grace 0,
   * after). The one before verifies until `min(its own end, now + grace)`.
   *
   * @throws InvalidInputError; TokenNotFoundError; TokenRevokedError; TokenStateError for a disabled or expired token;
   * RotationInProgressError; TooManyLiveVersionsError; InGraceError; NoRecipientError; FormatClashError;
   * StaleRevisionError when others keep changing the token
   * @event rotation.started, token.rotated, rotation.regenerated, rotation.stalled, rotation.abandoned
   */
  rotate(ref: TokenRef, options?: RotateOptions & { readonly rotationId?: undefined }): Promise<Rotated>
  rotate(ref: TokenRef, options: RotateOptions): Promise<RotatedAgain>
  async rotate(ref: TokenRef, options: RotateOptions = {}): Promise<RotatedAgain> {
    const request = checkRotate(options, () => this.#newId('rot'))
    const started = await this.#start.rotation(ref, request)
    return this.#result(started.replayed ? started : await this.#drive(started, options.signal))
  }

  /**
   * Makes a token that nobody asked for, as a rule does: its text goes to the `publish` hook of the service, or stays as
   * a sealed copy.
   *
   * @throws NoRecipientError when it would reach nobody; and what `generate` throws
   * @event token.generated, rotation.stalled
   */
  async issue(input: GenerateInput, options: IssueOptions): Promise<RotatedAgain> {
    checkFields('options', options, ['rotationId', 'origin', 'actor', 'reason'])
    const by = checkAttribution(options)
    const { rotationId } = options
    const id = rotationId === undefined ? this.#newId('rot') : checkRotationId('rotationId', rotationId)
    const started = await this.#start.token(input, { id, by, origin: checkOrigin(options.origin) })
    return this.#result(started.replayed ? started : await this.#drive(started))
  }

  /**
   * Rotates many tokens: named ones, the oldest, those older than some age, those of an owner or with a tag, or all.
   * What fails for one is in the report, and the others go on. A token whose new value would reach nobody is skipped.
   *
   * @throws InvalidInputError for a selection or an option that can't be used
   * @event token.rotated
   */
  bulkRotate(options: BulkRotateOptions = {}): Promise<BulkReport> {
    return this.#track(this.#bulk.run(options))
  }

  /** Whether a value of this service that nobody asked for would reach anyone. */
  hasRecipient(service: string, retrievable: boolean): boolean {
    return retrievable || this.#parts.settings.hooks.of(service).publish !== undefined
  }

  /**
   * Reads back the text of a retrievable token's current version. The journal tells who did.
   *
   * @throws TokenNotFoundError; TokenRevokedError; NotRetrievableError; UnsealError
   * @event token.revealed
   */
  async reveal(ref: TokenRef, options: Attribution = {}): Promise<string> {
    checkFields('options', options, ['actor', 'reason'])
    const by = checkAttribution(options)
    const { base } = this.#parts
    await base.ready()
    const { store, clock, keys } = base
    return retryStale(async () => {
      const { value: token, id, revision } = await requireRecord(store, ref)
      if (token.revoked !== undefined) throw new TokenRevokedError(token.service, id)
      const current = currentOf(token.versions)
      if (current.sealed === undefined) throw new NotRetrievableError(token.service)
      const text = keys.unseal(current.sealed, sealContext(id, current.n))
      // Written as it is: the entry in the journal, and the revision that proves it, are the change.
      const to = { value: { ...token } }
      const detail = { version: current.n }
      const change = { kind: tokenKind, id, revision, to, action: 'token.revealed', detail }
      const payload = { ...eventOf(token, by, clock.now()), version: current.n }
      await base.write(by, [change], [{ name: 'token.revealed', about: id, payload }])
      return text
    })
  }

  /** Rotations that aren't finished: under way, or waiting for somebody; oldest first, at most 1000 of each. */
  async pending(): Promise<readonly RotationView[]> {
    const views: RotationView[] = []
    for (const status of ['running', 'stalled']) {
      const query = { index: 'status', in: status, limit: 1000 } as const
      const { items } = await this.#parts.base.store.list(rotationKind, query)
      views.push(...items.map(({ value }) => rotationView(value)))
    }
    return views.sort((a, b) => a.startedAt - b.startedAt)
  }

  /**
   * The rotations of a token, newest first: who asked for each, why, by which rule, and what came of it.
   *
   * @throws TokenNotFoundError, InvalidInputError
   */
  async history(
    ref: TokenRef,
    query: { readonly limit?: number; readonly cursor?: string } = {},
  ): Promise<Page<RotationView>> {
    checkFields('query', query, ['limit', 'cursor'])
    const { limit = 100, cursor } = query
    if (!Number.isInteger(limit) || limit < 1 || limit > 1000) {
      throw new InvalidInputError('limit', 'must be a whole number from 1 to 1000', 'leave it out for 100')
    }
    const { store } = this.#parts.base
    const { id } = await requireRecord(store, ref)
    const page = await store.list(rotationKind, { index: 'token', in: id, reverse: true, limit, cursor })
    return { ...page, items: page.items.map(({ value }) => rotationView(value)) }
  }

  /**
   * Takes a rotation up that a crash or a stall has left: with the same value where its text is to be had (a sealed copy,
   * or `token`), else without it, see docs/rotation.md. Without an id: all those that no process is at any more.
   *
   * @returns the rotations as they stand then
   * @throws RotationNotFoundError, InvalidInputError, UnsealError
   * @event token.rotated, rotation.regenerated, rotation.stalled, rotation.abandoned
   */
  async resume(rotationId?: string, options: ResumeOptions = {}): Promise<readonly RotationView[]> {
    checkFields('options', options, ['token'])
    await this.#parts.base.ready()
    if (rotationId === undefined) return (await this.#track(this.#turn.resumeDue())).map(viewStored)
    const stored = await this.#parts.base.store.get(rotationKind, rotationId)
    if (stored === undefined) throw new RotationNotFoundError(rotationId)
    return (await this.#track(this.#takeUp(stored, options.token, true))).map(viewStored)
  }

  /**
   * Gives a rotation up that isn't finished. What its consumers may have stays valid until its deadline, unless the
   * `rollback` hook says that they are back at the old value.
   *
   * @throws RotationNotFoundError; RotationStateError for one that is finished
   * @event rotation.abandoned
   */
  async abandon(rotationId: string, options: Attribution = {}): Promise<Undone> {
    checkFields('options', options, ['actor', 'reason'])
    const by = checkAttribution(options)
    await this.#parts.base.ready()
    return this.#undone((await this.#track(this.#undo.abandon(rotationId, by))).stored)
  }

  /**
   * Takes a finished rotation back while the version before is in its grace: that one is current again, and the new one
   * gets a grace. Then the `rollback` hook is called.
   *
   * @throws RotationNotFoundError; RotationStateError when the version before has ended, or another is current;
   * TokenRevokedError
   * @event rotation.rolledBack
   */
  async rollback(rotationId: string, options: RollbackOptions = {}): Promise<Undone> {
    checkFields('options', options, ['grace', 'actor', 'reason'])
    const by = checkAttribution(options)
    const { grace } = options
    const ms = grace === undefined ? undefined : parseDuration('grace', grace, { allowZero: true })
    return this.#undone((await this.#track(this.#undo.rollback(rotationId, ms, by))).stored)
  }

  /** Takes up what crashes have left, looks whether older versions are out of use, forgets old history. */
  tick(): Promise<RotationTick> {
    return this.#track(this.#turn.run())
  }

  /** Stops waiting for hooks; what they were called for stays to be resumed. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the rotator is closed'))
    await Promise.allSettled([...this.#running])
  }

  /** Takes a rotation that was just begun through its steps. */
  #drive(started: Started, signal?: AbortSignal): Promise<Driven> {
    const closing = this.#closing.signal
    const outer = signal === undefined ? closing : AbortSignal.any([signal, closing])
    return this.#track(this.#parts.driver.drive(started, started.hooks, outer, true))
  }

  /** Rotates one token of a batch, or takes its rotation up. */
  async #rotateOne(id: string, request: StartRequest): ReturnType<RotateOne> {
    const started = await this.#start.rotation({ id }, request)
    const { replayed, stored } = started
    if (!replayed) return { replayed, status: (await this.#drive(started)).stored.value.status }
    const { status, dueAt = 0 } = stored.value
    // Another process is at it.
    if (status === 'running' && dueAt > (await this.#parts.base.store.time()))
      return { replayed, status, found: status }
    const resumed = (await this.#takeUp(stored, undefined, true)).at(-1) ?? stored
    return { replayed, status: resumed.value.status, found: status }
  }

  /** Takes up one rotation, and begins a fresh one where its text is lost. */
  async #takeUp(stored: StoredRotation, text: string | undefined, anew: boolean): Promise<StoredRotation[]> {
    const resumed = await this.#resumption.resume(stored, text, anew, this.#closing.signal)
    if (resumed.lostText !== true) return [resumed.stored]
    const { id, token, rule, slot, batch, grace, actor, retireWhenQuiet } = resumed.stored.value
    // The same for every instance that comes to this, so that only one begins it; of an id that is too long, a digest.
    const options: RotateOptions = {
      rotationId: `again.${id.length <= 100 ? id : hash('sha256', id, 'base64url')}`,
      grace,
      retireWhenQuiet,
      reason: `takes the place of ${id}`,
      ...(actor !== undefined && { actor }),
      origin: { rule, slot, batch },
    }
    const again = checkRotate(options, () => this.#newId('rot'))
    const started = await this.#start.rotation({ id: token }, again)
    const outer = this.#closing.signal
    const driven = started.replayed ? started : await this.#parts.driver.drive(started, started.hooks, outer, anew)
    return [resumed.stored, driven.stored]
  }

  async #result({ stored, text }: Driven): Promise<RotatedAgain> {
    const { store, clock, keys } = this.#parts.base
    const { value: rotation } = stored
    const token = await requireRecord(store, { id: rotation.token })
    const version = token.value.versions.find(({ n }) => n === rotation.version)
    const known = text ?? (version?.sealed && keys.unseal(version.sealed, sealContext(rotation.token, version.n)))
    const record = viewOf(token, clock.now())
    return { ...(known !== undefined && { token: known }), record, rotation: rotationView(rotation) }
  }

  async #undone({ value: rotation }: StoredRotation): Promise<Undone> {
    const { store, clock } = this.#parts.base
    const token = await store.get(tokenKind, rotation.token)
    return { record: token && viewOf(token, clock.now()), rotation: rotationView(rotation) }
  }

  #newId(prefix: string): string {
    return `${prefix}_${this.#ids.next(this.#parts.base.clock.now())}`
  }

  /** Notes what is under way, for `close` to wait for. */
  #track<T>(work: Promise<T>): Promise<T> {
    this.#running.add(work)
    const done = (): void => void this.#running.delete(work)
    work.then(done, done)
    return work
  }
}

function viewStored(stored: StoredRotation): RotationView {
  return rotationView(stored.value)
}
