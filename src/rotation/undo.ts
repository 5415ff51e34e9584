import { TokenRevokedError } from '../issuing/errors.ts'
import { eventOf } from '../issuing/events.ts'
import { nextRevision } from '../kernel/kind.ts'
import { type Attribution, type Change, type Row, retryStale } from '../stores/commit.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import { currentOf, endOf, revert } from '../tokens/versions.ts'
import { viewOf } from '../tokens/view.ts'
import { RotationNotFoundError, RotationStateError } from './errors.ts'
import { callHook, type HookContext, type HookOutcome } from './hooks.ts'
import { numbers } from './rotation-changes.ts'
import type { Driven, StoredRotation } from './rotation-moves.ts'
import type { RotationParts } from './rotation-parts.ts'
import { type RotationRecord, rotationKind } from './rotation-record.ts'

/** A finished rotation that was taken back. */
export interface Reverted {
  readonly stored: StoredRotation
  /** What the `rollback` hook answered; `none` = there is none. */
  readonly hook: HookOutcome['answer'] | 'none'
}

/** Gives rotations up, and takes them back. */
export class RotationUndo {
  readonly #parts: RotationParts

  /** @param parts - what the rotator is made of */
  constructor(parts: RotationParts) {
    this.#parts = parts
  }

  /** Gives up a rotation that isn't finished, whoever is at it. */
  async abandon(id: string, by: Attribution): Promise<Driven> {
    const { moves } = this.#parts
    const stored = await this.#require(id)
    const { value: rotation } = stored
    if (rotation.status !== 'running' && rotation.status !== 'stalled') {
      throw new RotationStateError(id, `is ${rotation.status}`, 'take a finished one back with rollback')
    }
    const driven: Driven = { stored, text: undefined }
    if (rotation.switchedAt !== undefined) {
      const given = await moves.giveUp(driven, 'abandoned', by)
      return given.lost === true ? this.abandon(id, by) : given
    }
    // From here on whoever was at it has lost it.
    const claimed = await moves.claim(driven, rotation.attempts)
    if (claimed.lost === true) return this.abandon(id, by)
    const told = rotation.steps.includes('publish')
    const back = told ? await this.#rollbackHook(claimed.stored.value) : 'none'
    const abandoned = await moves.abandon(claimed, told && back !== 'ok', by)
    // Somebody has resumed it meanwhile, and may have finished it.
    return abandoned.lost === true ? this.abandon(id, by) : abandoned
  }

  /** Makes the version before current again. */
  async rollback(id: string, grace: number | undefined, by: Attribution): Promise<Reverted> {
    await this.#parts.base.ready()
    const stored = await retryStale(async () => this.#revert(await this.#require(id), grace, by))
    return { stored, hook: await this.#rollbackHook(stored.value) }
  }

  async #revert(stored: StoredRotation, asked: number | undefined, by: Attribution): Promise<StoredRotation> {
    const { base } = this.#parts
    const { id, value: rotation } = stored
    const token = await base.store.get(tokenKind, rotation.token)
    const now = base.clock.now()
    if (token === undefined) throw new RotationStateError(id, 'is of a token that was removed', 'generate a new one')
    const { value: record, revision } = token
    if (record.revoked !== undefined) throw new TokenRevokedError(record.service, record.id)
    const before = record.versions.find((version) => version.n === rotation.previous)
    if (rotation.switchedAt === undefined || currentOf(record.versions).n !== rotation.version) {
      throw new RotationStateError(id, "didn't make the current version", 'abandon it, or roll the latest one back')
    }
    if (before?.state !== 'previous' || now >= endOf(before, record.lifetime)) {
      throw new RotationStateError(id, "can't be taken back: the version before has ended", 'rotate again')
    }
    const grace = asked ?? rotation.grace
    const versions = revert(record.versions, record.lifetime, before.n, now, grace)
    const left = versions.find((version) => version.n === rotation.version)
    const kept = left?.state === 'previous' && left.graceUntil !== undefined ? { graceUntil: left.graceUntil } : {}
    const { dueAt: _, ...rest } = rotation
    const value: RotationRecord = { ...rest, status: 'rolled_back', fence: rotation.fence + 1, endedAt: now }
    const { warnedDays: __, ...unwarned } = record
    const change: Change<TokenRecord> = {
      kind: tokenKind,
      id: record.id,
      revision,
      to: { value: { ...unwarned, versions, updatedAt: now } },
      action: 'rotation.rolledBack',
      detail: { rotation: id, version: rotation.version, current: before.n, ...kept },
    }
    const payload = { ...eventOf(record, by, now), ...numbers(rotation), current: before.n, ...kept }
    const row: Row = { kind: rotationKind, id, value, expected: stored.revision }
    await base.write(by, [change], [{ name: 'rotation.rolledBack', about: record.id, payload }], [row])
    return { id, revision: nextRevision(stored.revision), value }
  }

  /** Sends the consumers back, once: what it answers decides how long the new value is kept for them. */
  async #rollbackHook(rotation: RotationRecord): Promise<Reverted['hook']> {
    const { base, settings, closing } = this.#parts
    const { rollback } = settings.hooks.of(rotation.service)
    const token = await base.store.get(tokenKind, rotation.token)
    if (rollback === undefined || token === undefined) return 'none'
    const context: Omit<HookContext, 'signal'> = {
      rotationId: rotation.id,
      service: rotation.service,
      version: rotation.version,
      record: viewOf(token, base.clock.now()),
      attempt: 1,
      fence: rotation.fence,
    }
    const called = callHook(rollback, context, base.clock, settings.hookTimeout, closing)
    // What was taken back is so whether or not its consumers are: a rotator that closes doesn't wait for them.
    const outcome = await called.catch((error: unknown): HookOutcome => {
      if (!closing.aborted) throw error
      return { answer: 'unknown', code: 'closed' }
    })
    if (outcome.error !== undefined) base.events.listenerFailed('rotation.rollback', outcome.error)
    return outcome.answer
  }

  async #require(id: string): Promise<StoredRotation> {
    const stored = await this.#parts.base.store.get(rotationKind, id)
    if (stored === undefined) throw new RotationNotFoundError(id)
    return stored
  }
}
