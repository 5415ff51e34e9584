import { TokenExistsError, TokenRevokedError, TokenStateError } from '../issuing/errors.ts'
import { eventOf } from '../issuing/events.ts'
import type { GenerateInput, Generator } from '../issuing/generator.ts'
import { requireRecord, type TokenRef } from '../issuing/lookup.ts'
import { birthOf } from '../issuing/new-token.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { nextRevision, type Stored } from '../kernel/kind.ts'
import { type Attribution, type Change, type Row, retryStale } from '../stores/commit.ts'
import { UniqueConflictError } from '../stores/errors.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import { begin, currentOf, liveVersions, MAX_LIVE_VERSIONS, retire, settle, supersede } from '../tokens/versions.ts'
import { InGraceError, NoRecipientError, RotationInProgressError, TooManyLiveVersionsError } from './errors.ts'
import { type RotationHooks, stepsOf } from './hooks.ts'
import { rotatedChange, rotatedPayload } from './rotation-changes.ts'
import type { Driven, StoredRotation } from './rotation-moves.ts'
import type { RotationParts } from './rotation-parts.ts'
import { type RotationOrigin, type RotationRecord, rotationKind } from './rotation-record.ts'

/** What is to be done when an older version is in its grace still. */
export type WhenInGrace = 'keep' | 'refuse' | 'endOldest'

/** A rotation that was asked for, checked. */
export interface StartRequest {
  readonly id: string
  readonly by: Attribution
  /** Asked for with the call, ms; `undefined` = the token's, else the host's. */
  readonly grace: number | undefined
  readonly whenInGrace: WhenInGrace
  /** A text that is brought. */
  readonly token: unknown
  readonly force: boolean
  /** Given with the call; `undefined` = the registered ones. */
  readonly hooks: RotationHooks | undefined
  /** Absent = somebody asked for it, and gets the text. */
  readonly origin: RotationOrigin | undefined
  /** Whether the caller hands the text on, though nobody asked for it. */
  readonly awaited: boolean
  readonly retireWhenQuiet: boolean
}

/** A rotation that was begun, or had been. */
export interface Started extends Driven {
  /** It had been begun before, under the same id. */
  readonly replayed: boolean
  readonly hooks: RotationHooks
}

/** Begins rotations: each is there with its version, or not at all, before anything is done outside. */
export class RotationStart {
  readonly #parts: RotationParts
  readonly #generator: Generator

  /**
   * @param parts - what the rotator is made of
   * @param generator - makes tokens
   */
  constructor(parts: RotationParts, generator: Generator) {
    this.#parts = parts
    this.#generator = generator
  }

  /** Begins the rotation of a token. */
  async rotation(ref: TokenRef, request: StartRequest): Promise<Started> {
    const { base, settings } = this.#parts
    await base.ready()
    return retryStale(async () => {
      const known = await this.#replay(request.id, (rotation) =>
        typeof ref === 'string' ? rotation.service === ref : rotation.token === ref.id,
      )
      if (known !== undefined) return known
      const stored = await requireRecord(base.store, ref)
      const hooks = request.hooks ?? settings.hooks.of(stored.value.service)
      return this.#begin(stored, request, hooks)
    })
  }

  /** Makes a token for a rule; its publishing is a rotation of its first version. */
  async token(input: GenerateInput, request: Pick<StartRequest, 'id' | 'by' | 'origin'>): Promise<Started> {
    const { base, settings, moves } = this.#parts
    const { id } = request
    await base.ready()
    const known = await this.#replay(id, (rotation) => rotation.service === input.service)
    if (known !== undefined) return known
    const hooks = settings.hooks.of(input.service)
    const steps = stepsOf(hooks)
    const dueAt = await moves.lease()
    let value: RotationRecord | undefined
    const { token: text } = await this.#generator.issue({ ...input, ...request.by }, (token) => {
      if (hooks.publish === undefined && !token.format.retrievable) throw new NoRecipientError(token.service)
      const now = token.createdAt
      value = {
        ...this.#record(request, token, steps, now),
        version: 1,
        flow: 'switched',
        grace: 0,
        switchedAt: now,
        ...(steps.length > 0 ? { dueAt } : { status: 'done', endedAt: now }),
      }
      return { rows: [{ kind: rotationKind, id, value, expected: 0 }], datedAt: request.origin?.slot }
    })
    const stored = { id, revision: nextRevision(0), value: value as unknown as RotationRecord }
    return { stored, text, replayed: false, hooks }
  }

  /** A rotation that stands under this id already. */
  async #replay(id: string, same: (rotation: RotationRecord) => boolean): Promise<Started | undefined> {
    const { base, settings } = this.#parts
    const stored = await base.store.get(rotationKind, id)
    if (stored === undefined) return undefined
    if (!same(stored.value)) {
      throw new InvalidInputError('rotationId', 'is that of a rotation of another token', 'give each its own')
    }
    return { stored, text: undefined, replayed: true, hooks: settings.hooks.of(stored.value.service) }
  }

  async #begin(stored: Stored<TokenRecord>, request: StartRequest, hooks: RotationHooks): Promise<Started> {
    const { base, values, moves, settings } = this.#parts
    const { value: token, id, revision } = stored
    const { origin, by } = request
    const now = base.clock.now()
    const standing = rotatable(token, now)
    if (origin !== undefined && !request.awaited && hooks.publish === undefined && !token.format.retrievable) {
      throw new NoRecipientError(token.service)
    }
    const grace = request.grace ?? token.lifetime?.grace ?? this.#parts.grace
    const steps = stepsOf(hooks)
    const staged = grace > 0 && (hooks.publish !== undefined || hooks.test !== undefined)
    const older = grace === 0 ? standing : await this.#makeRoom(token, standing, request.whenInGrace, now)
    const brought = request.token !== undefined
    const text = brought ? values.take(token, request.token, request.force) : values.draw(token)
    const n = (standing.at(-1)?.n ?? 0) + 1
    const fresh = values.fresh(token, text, n, origin?.slot)
    const pendingUntil = now + settings.pendingFor
    const versions = staged
      ? begin<TokenVersion>(older, fresh, now, pendingUntil)
      : supersede<TokenVersion>(older, fresh, token.lifetime, now, grace)
    const previous = currentOf(standing).n
    const before = versions.find((version) => version.n === previous)
    const graceUntil = before?.state === 'previous' ? before.graceUntil : undefined
    const done = !staged && steps.length === 0
    const rotation: RotationRecord = {
      ...this.#record(request, token, steps, now),
      version: n,
      flow: staged ? 'staged' : 'switched',
      grace,
      previous,
      ...(!staged && { switchedAt: now }),
      ...(graceUntil !== undefined && { graceUntil }),
      ...(brought && { brought }),
      ...(request.retireWhenQuiet && { retireWhenQuiet: true as const }),
      ...(done
        ? { status: 'done', endedAt: now, ...(await moves.adoptionDue(graceUntil)) }
        : { dueAt: await moves.lease() }),
    }
    const { warnedDays, ...rest } = token
    // Another end is announced anew, once there is another.
    const kept = staged && warnedDays !== undefined ? token : rest
    const changed = { id, revision, value: { ...kept, versions, updatedAt: now } }
    const rows: Row[] = [{ kind: rotationKind, id: rotation.id, value: rotation, expected: 0 }, birthOf(id, n, now)]
    const change = staged ? startedChange(changed, rotation) : rotatedChange(changed, rotation)
    const about = { ...eventOf(token, by, now), rotation: rotation.id, version: n }
    const told = staged
      ? ({ name: 'rotation.started', about: id, payload: { ...about, pendingUntil } } as const)
      : ({ name: 'token.rotated', about: id, payload: rotatedPayload(token, rotation, now) } as const)
    await base.write(by, [change], [told], rows).catch((error: unknown) => {
      if (error instanceof UniqueConflictError) throw new TokenExistsError(error.holder, error.removed)
      throw error
    })
    return { stored: begun(rotation), text, replayed: false, hooks }
  }

  /** What every rotation begins with. */
  #record(
    { id, by, origin, hooks }: Pick<StartRequest, 'id' | 'by' | 'origin'> & { hooks?: RotationHooks | undefined },
    token: { readonly id: string; readonly service: string },
    steps: RotationRecord['steps'],
    now: number,
  ): Omit<RotationRecord, 'version' | 'flow' | 'grace'> {
    const { actor, reason } = by
    const { rule, slot, batch } = origin ?? {}
    return {
      id,
      token: token.id,
      service: token.service,
      steps,
      step: steps[0] ?? 'finish',
      status: 'running',
      attempts: 1,
      regenerated: 0,
      fence: 1,
      resumable: hooks === undefined,
      startedAt: now,
      ...(actor !== undefined && { actor }),
      ...(reason !== undefined && { reason }),
      ...(rule !== undefined && { rule }),
      ...(slot !== undefined && { slot }),
      ...(batch !== undefined && { batch }),
    }
  }

  /** Sees to it that a rotation with grace leaves at most three versions alive, and finds none under way. */
  async #makeRoom(
    token: TokenRecord,
    versions: readonly TokenVersion[],
    when: WhenInGrace,
    now: number,
  ): Promise<readonly TokenVersion[]> {
    if (versions.some((version) => version.state === 'pending')) {
      const query = { index: 'token', in: token.id, reverse: true, limit: 1 } as const
      const { items } = await this.#parts.base.store.list(rotationKind, query)
      throw new RotationInProgressError(token.service, items[0]?.id)
    }
    const live = liveVersions(versions, token.lifetime, now)
    const oldest = live.find((version) => version.state === 'previous')
    if (oldest !== undefined && when === 'refuse') throw new InGraceError(token.service, oldest.graceUntil ?? now)
    if (live.length < MAX_LIVE_VERSIONS) return versions
    if (oldest === undefined || when !== 'endOldest') throw new TooManyLiveVersionsError(token.service, token.id)
    return retire(versions, token.lifetime, oldest.n, now)
  }
}

/** The versions as time has left them, of a token that may be rotated. */
function rotatable(token: TokenRecord, now: number): readonly TokenVersion[] {
  const { id, service } = token
  if (token.revoked !== undefined) throw new TokenRevokedError(service, id)
  if (token.canary) {
    const help = 'generate another one, and plant that'
    throw new TokenStateError(
      id,
      `the token '${service}' (${id}) is a canary, which would be lost where it was planted`,
      help,
    )
  }
  if (token.disabled !== undefined) {
    throw new TokenStateError(id, `the token '${service}' (${id}) is disabled`, 'enable it first')
  }
  if (liveVersions(token.versions, token.lifetime, now).length === 0) {
    throw new TokenStateError(id, `the token '${service}' (${id}) has expired`, 'generate a new one, or move its end')
  }
  return settle(token.versions, token.lifetime, now)
}

function begun(value: RotationRecord): StoredRotation {
  return { id: value.id, revision: nextRevision(0), value }
}

function startedChange(token: Stored<TokenRecord>, { id, version }: RotationRecord): Change<TokenRecord> {
  const { id: subject, revision, value } = token
  const detail = { rotation: id, version }
  return { kind: tokenKind, id: subject, revision, to: { value }, action: 'rotation.started', detail }
}
