import { eventOf } from '../issuing/events.ts'
import { birthOf } from '../issuing/new-token.ts'
import type { Stored } from '../kernel/kind.ts'
import { type Attribution, type Change, type Row, retryStale } from '../stores/commit.ts'
import type { Foundation } from '../stores/foundation.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import { abandon, begin, currentOf, endOf, promote, supersede } from '../tokens/versions.ts'
import type { RotationEvents } from './events.ts'
import type { NewValues } from './new-values.ts'
import { byOf, lossOf, numbers, pendingOf, rotatedChange, rotatedPayload } from './rotation-changes.ts'
import { type RotationRecord, rotationKind } from './rotation-record.ts'
import type { CheckedSettings } from './settings.ts'
import { stepAfter, switchesBefore } from './verdict.ts'

/** A rotation as it is in the store. */
export type StoredRotation = Stored<RotationRecord>

/** A rotation, and the text of its version where this process knows it. */
export interface Driven {
  readonly stored: StoredRotation
  readonly text: string | undefined
  /** Another process has taken it over. */
  readonly lost?: true
}

/** What a move finds: the rotation, still this process's, and its token. */
interface Found {
  readonly stored: StoredRotation
  readonly token: Stored<TokenRecord> | undefined
  readonly now: number
}

/** A lease outlives the attempt that it is for by this, ms. */
const LEASE_MARGIN = 15_000

/**
 * The moves of a rotation from one state to the next, each one commit. Every one names the revision of the rotation that
 * this process has: whoever has lost its lease to another finds that out here, and has `lost`.
 */
export class RotationMoves {
  readonly #base: Foundation<RotationEvents>
  readonly #values: NewValues
  readonly #settings: CheckedSettings

  /**
   * @param base - store, keys, time and events
   * @param values - makes new texts
   * @param settings - time limits and patience
   */
  constructor(base: Foundation<RotationEvents>, values: NewValues, settings: CheckedSettings) {
    this.#base = base
    this.#values = values
    this.#settings = settings
  }

  /** The store's time until which an attempt that begins after `delayMs` is this process's alone. */
  async lease(delayMs = 0): Promise<number> {
    return (await this.#base.store.time()) + delayMs + this.#settings.hookTimeout + LEASE_MARGIN
  }

  /** When a rotation that is done is to be looked at again: its older versions may be out of use then. */
  async adoptionDue(graceUntil: number | undefined): Promise<{ readonly dueAt: number } | undefined> {
    if (graceUntil === undefined) return undefined
    return { dueAt: (await this.#base.store.time()) + this.#settings.quiet }
  }

  /** On to the next step: the version becomes current on the way, when it is time for that. */
  async advance(driven: Driven): Promise<Driven> {
    const { value: rotation } = driven.stored
    const step = stepAfter(rotation)
    if (switchesBefore(rotation, step)) return this.#switch(driven)
    if (step !== undefined) {
      return this.#put(driven, { ...rotation, step, attempts: 1, dueAt: await this.lease() })
    }
    const { dueAt: _, failure: __, ...rest } = rotation
    const due = await this.adoptionDue(rotation.graceUntil)
    return this.#put(driven, { ...rest, status: 'done', endedAt: this.#base.clock.now(), ...due })
  }

  /** The pending version becomes current: token, rotation, journal and events in one commit. */
  async #switch(driven: Driven): Promise<Driven> {
    return this.#onToken(driven, async ({ stored, token, now }) => {
      const { value: rotation } = stored
      if (token === undefined || pendingOf(token, rotation, now) === undefined) {
        return this.giveUp(driven, 'pending_ended')
      }
      const { value: record, id, revision } = token
      // Not always the one at its beginning: that may have been rolled back since.
      const previous = currentOf(record.versions).n
      const versions = promote(record.versions, record.lifetime, now, rotation.grace)
      const before = versions.find((version) => version.n === previous)
      const graceUntil = before?.state === 'previous' ? before.graceUntil : undefined
      const finishing = rotation.steps.includes('finish')
      const { dueAt: _, failure: __, ...rest } = rotation
      const value: RotationRecord = {
        ...rest,
        step: 'finish',
        fence: rotation.fence + 1,
        previous,
        switchedAt: now,
        ...(graceUntil !== undefined && { graceUntil }),
        ...(finishing
          ? { attempts: 1, dueAt: await this.lease() }
          : { status: 'done', endedAt: now, ...(await this.adoptionDue(graceUntil)) }),
      }
      const { warnedDays: ___, ...kept } = record
      const change = rotatedChange({ id, revision, value: { ...kept, versions, updatedAt: now } }, value)
      const payload = rotatedPayload(record, value, now)
      const row: Row = { kind: rotationKind, id: value.id, value, expected: stored.revision }
      await this.#base.write(byOf(value), [change], [{ name: 'token.rotated', about: id, payload }], [row])
      return { ...driven, stored: { id: value.id, revision: stored.revision + 1, value } }
    })
  }

  /**
   * Draws another value in the place of one that was rejected, or whose text is lost. Its consumers are told anew.
   *
   * @param counts - whether it is one of the bounded number of rejections
   */
  async regenerate(driven: Driven, counts: boolean): Promise<Driven> {
    return this.#onToken(driven, async ({ stored, token, now }) => {
      const { value: rotation } = stored
      // Another rotation may have ended its version: what took that one's place isn't this rotation's to end.
      const loss = lossOf(token, rotation, now)
      if (token === undefined || loss !== undefined) return this.giveUp(driven, loss ?? 'token_revoked')
      const { value: record, id, revision } = token
      const text = this.#values.draw(record)
      const n = (record.versions.at(-1)?.n ?? 0) + 1
      const fresh = this.#values.fresh(record, text, n, rotation.slot)
      const staged = rotation.switchedAt === undefined
      const versions: readonly TokenVersion[] = staged
        ? begin(abandon(record.versions, record.lifetime, now), fresh, now, now + this.#settings.pendingFor)
        : supersede(record.versions, fresh, record.lifetime, now, 0)
      const step = rotation.steps[0] ?? rotation.step
      const value: RotationRecord = {
        ...rotation,
        version: n,
        step,
        // Drawing anew because a text was lost is no progress: it may be what kills the process.
        attempts: counts ? 1 : rotation.attempts + 1,
        fence: rotation.fence + 1,
        regenerated: rotation.regenerated + (counts ? 1 : 0),
        dueAt: await this.lease(),
      }
      const change: Change<TokenRecord> = {
        kind: tokenKind,
        id,
        revision,
        to: { value: { ...record, versions, updatedAt: now } },
        action: 'rotation.regenerated',
        detail: { rotation: rotation.id, version: n },
      }
      const payload = { ...eventOf(record, byOf(value), now), rotation: value.id, version: n, step: rotation.step }
      const rows: Row[] = [{ kind: rotationKind, id: value.id, value, expected: stored.revision }, birthOf(id, n, now)]
      await this.#base.write(byOf(value), [change], [{ name: 'rotation.regenerated', about: id, payload }], rows)
      return { text, stored: { id: value.id, revision: stored.revision + 1, value } }
    })
  }

  /** The rotation as it stands now. */
  async reread(stored: StoredRotation): Promise<StoredRotation> {
    return (await this.#base.store.get(rotationKind, stored.id)) ?? stored
  }

  /**
   * Takes a rotation over, for an attempt of this process.
   *
   * @param attempts - which attempt at its step it is
   */
  async claim(driven: Driven, attempts: number): Promise<Driven> {
    const { value: rotation } = driven.stored
    return this.#put(driven, { ...rotation, status: 'running', attempts, dueAt: await this.lease() })
  }

  /** Puts the next attempt off, and keeps no lease. */
  async putOff(driven: Driven, code: string, delayMs: number): Promise<Driven> {
    const { store, clock } = this.#base
    const { value: rotation } = driven.stored
    const failure = { step: rotation.step, code, at: clock.now() }
    return this.#put(driven, { ...rotation, failure, dueAt: (await store.time()) + delayMs })
  }

  /**
   * Gives a rotation up before its version became current.
   *
   * @param keep - whether the version verifies on until its deadline, for those who may have it
   */
  async abandon(driven: Driven, keep: boolean, by: Attribution): Promise<Driven> {
    return this.#onToken(driven, async ({ stored, token, now }) => {
      const { value: rotation } = stored
      const pending = pendingOf(token, rotation, now)
      if (token === undefined || pending === undefined) return this.giveUp(driven, 'pending_ended')
      const { value: record, id, revision } = token
      const versions = abandon(record.versions, record.lifetime, now, keep ? pending.pendingUntil : undefined)
      const left = versions.find((version) => version.n === pending.n)
      const kept = left?.state === 'previous' && left.graceUntil !== undefined ? { keptUntil: left.graceUntil } : {}
      const { dueAt: _, ...rest } = rotation
      const value: RotationRecord = { ...rest, status: 'abandoned', fence: rotation.fence + 1, endedAt: now }
      const change: Change<TokenRecord> = {
        kind: tokenKind,
        id,
        revision,
        to: { value: { ...record, versions, updatedAt: now } },
        action: 'rotation.abandoned',
        detail: { rotation: rotation.id, version: pending.n, ...kept },
      }
      const payload = { ...eventOf(record, by, now), ...numbers(value), ...kept }
      const row: Row = { kind: rotationKind, id: value.id, value, expected: stored.revision }
      await this.#base.write(by, [change], [{ name: 'rotation.abandoned', about: id, payload }], [row])
      return { ...driven, stored: { id: value.id, revision: stored.revision + 1, value } }
    })
  }

  /** Ends a rotation whose version can't become current any more: it was revoked, has run out, or was ended by another. */
  async giveUp(driven: Driven, code: string, by: Attribution = byOf(driven.stored.value)): Promise<Driven> {
    const { clock } = this.#base
    const { dueAt: _, ...rest } = driven.stored.value
    const at = clock.now()
    const failure = { step: rest.step, code, at }
    const value: RotationRecord = { ...rest, status: 'abandoned', endedAt: at, failure }
    const payload = { ...eventOf({ id: rest.token, service: rest.service }, by, at), ...numbers(value) }
    return this.#tell(driven, value, 'rotation.abandoned', payload)
  }

  async again(driven: Driven, code: string, delayMs: number): Promise<Driven> {
    const { value: rotation } = driven.stored
    const failure = { step: rotation.step, code, at: this.#base.clock.now() }
    const dueAt = await this.lease(delayMs)
    return this.#put(driven, { ...rotation, attempts: rotation.attempts + 1, failure, dueAt })
  }

  /** Stops, and says so. A pending version stays until its deadline, at which the rotation is given up. */
  async stall(driven: Driven, code: string): Promise<Driven> {
    const { store, clock } = this.#base
    const { dueAt: _, ...rest } = driven.stored.value
    const at = clock.now()
    const token = await store.get(tokenKind, rest.token)
    const pending = pendingOf(token, rest, at)
    const left = pending === undefined ? undefined : endOf(pending, token?.value.lifetime) - at
    const due = left === undefined ? undefined : { dueAt: (await store.time()) + left }
    const value: RotationRecord = { ...rest, status: 'stalled', failure: { step: rest.step, code, at }, ...due }
    const about = eventOf({ id: rest.token, service: rest.service }, byOf(rest), at)
    const payload = { ...about, ...numbers(value), step: value.step, attempts: value.attempts, code }
    return this.#tell(driven, value, 'rotation.stalled', payload)
  }

  /** Lets others carry on at once. */
  letGo(driven: Driven): Promise<Driven> {
    return this.#put(driven, { ...driven.stored.value, dueAt: 0 })
  }

  /** A move that changes the token too: both are read anew each time that another change of the token was faster. */
  #onToken(driven: Driven, move: (found: Found) => Promise<Driven>): Promise<Driven> {
    const { store, clock } = this.#base
    return retryStale(async () => {
      const stored = await this.reread(driven.stored)
      if (stored.revision !== driven.stored.revision) return lostTo(stored, driven)
      const token = await store.get(tokenKind, stored.value.token)
      return move({ stored, token, now: clock.now() })
    })
  }

  /** Writes the rotation alone; what stands there when it is another's by now. */
  async #put(driven: Driven, next: RotationRecord): Promise<Driven> {
    const { id, revision } = driven.stored
    const value: RotationRecord = { ...next, fence: driven.stored.value.fence + 1 }
    if (await this.#base.commits.put([{ kind: rotationKind, id, value, expected: revision }])) {
      return { ...driven, stored: { id, revision: revision + 1, value } }
    }
    return lostTo(await this.reread(driven.stored), driven)
  }

  async #tell<Name extends 'rotation.stalled' | 'rotation.abandoned'>(
    driven: Driven,
    next: RotationRecord,
    name: Name,
    payload: RotationEvents[Name],
  ): Promise<Driven> {
    const { id, revision } = driven.stored
    const value: RotationRecord = { ...next, fence: driven.stored.value.fence + 1 }
    const row: Row = { kind: rotationKind, id, value, expected: revision }
    try {
      await this.#base.write({}, [], [{ name, about: value.token, payload }], [row])
      return { ...driven, stored: { id, revision: revision + 1, value } }
    } catch (error) {
      const stored = await this.reread(driven.stored)
      // Another was faster; anything else is for the caller.
      if (stored.revision === revision) throw error
      return lostTo(stored, driven)
    }
  }
}

/** What is left of a rotation that another process has: the text no more when that one has drawn another. */
function lostTo(stored: StoredRotation, { stored: had, text }: Driven): Driven {
  return { stored, text: stored.value.version === had.value.version ? text : undefined, lost: true }
}
