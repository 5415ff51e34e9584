import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import type { CatalogueCache } from './catalogue-cache.ts'
import type { Checker } from './checker.ts'
import { HealHeldError, LockOutError, SnapshotError } from './errors.ts'
import type { CloudflareEvents } from './events.ts'
import type { TargetChange } from './history.ts'
import { underLease } from './lease.ts'
import { noteChange } from './mark.ts'
import { ofState, updateMark } from './marks.ts'
import { canWriteTokens, contentHash } from './plan.ts'
import { putBack } from './put-back.ts'
import type { SelfIdentity } from './self-identity.ts'
import type { HealerState, Snapshot } from './state.ts'
import type { Target } from './targets.ts'
import { readToken } from './token-record.ts'

/** What a {@link Rollback} is made from. */
export interface RollbackOptions {
  readonly api: CloudflareApi
  readonly clock: Clock
  readonly state: HealerState
  readonly events: EventSink<CloudflareEvents>
  readonly checker: Checker
  readonly self: SelfIdentity
  readonly catalogues: CatalogueCache
  readonly allowSelfEscalation: boolean
  readonly nextId: () => string
}

/** What `rollback` answers. */
export interface RollbackResult {
  /** The target's name. */
  readonly target: string
  /** Whether the token was read back as it was before the change. */
  readonly restored: boolean
  /** A snapshot of what it was until now: it takes the rollback back. */
  readonly undo: string
  /** What Cloudflare said, where it wasn't restored. */
  readonly error?: { readonly code: string; readonly message: string }
}

/** Puts a token's policies back as a snapshot has them. */
export class Rollback {
  readonly #options: RollbackOptions

  /** @param options - API, state */
  constructor(options: RollbackOptions) {
    this.#options = options
  }

  /** Puts it back. See `CloudflareTokenHealer.rollback`. */
  async to(id: string, targets: readonly Target[], run: Run): Promise<RollbackResult> {
    const { state, nextId } = this.#options
    const known = typeof id === 'string' && /^[0-9A-Za-z]{1,64}$/.test(id)
    const snapshot = known ? await ofState('reading a snapshot', () => state.snapshot(id)) : undefined
    if (snapshot === undefined) throw new SnapshotError(known ? id : '…', "isn't there", 'take its id from the history')
    await this.#checkOwn(snapshot, targets, run)
    const { tokenId, target } = snapshot
    return underLease(this.#options, { id: tokenId, name: target, holder: nextId() }, () =>
      this.#restore(snapshot, run),
    )
  }

  /** Others that share the state may have targets of the same name: the token itself must be the target's. */
  async #checkOwn({ id, target, tokenId, kind, accountId }: Snapshot, targets: readonly Target[], run: Run) {
    const named = targets.find(({ name }) => name === target)
    if (named !== undefined) {
      const { family, id: own } = await this.#options.checker.identify(named, run)
      // A user's token is in no account: the one that is configured says what its requirements mean, and may have changed.
      if (own === tokenId && family.kind === kind && (kind === 'user' || family.accountId === accountId)) return
    }
    throw new SnapshotError(id, 'is of a token that this healer has no target for', 'use the healer that made it')
  }

  async #restore(snapshot: Snapshot, run: Run): Promise<RollbackResult> {
    const { api, state, clock, events, self, catalogues, allowSelfEscalation, nextId } = this.#options
    const { id, kind, accountId, tokenId, target, fields } = snapshot
    const family: Family = { kind, accountId }
    const record = readToken((await api.token(family, tokenId, run)).result)
    if (typeof record === 'string' || (await contentHash(record)) !== snapshot.after) {
      throw new SnapshotError(
        id,
        "can't be gone back to: the token has changed since",
        'look at it, and change it by hand',
      )
    }
    if ((await self.id(family, run)) === tokenId) {
      if (!allowSelfEscalation) throw new HealHeldError(target, 'self_escalation')
      const catalogue = await catalogues.get(family, run)
      if (!canWriteTokens(fields.policies, kind, (group) => catalogue.byId(group)?.name)) {
        throw new LockOutError('its own credential would lose the group for writing tokens')
      }
    }
    const undo = nextId()
    const after = await contentHash(record, fields.policies)
    await ofState('keeping a snapshot', () =>
      state.saveSnapshot({ ...snapshot, id: undo, at: clock.now(), fields: record.fields, after }),
    )
    run.signal?.throwIfAborted()
    // What somebody takes back isn't to be given again by the next run.
    await updateMark(state, tokenId, (mark) => ({
      ...noteChange(mark, clock.now()),
      given: {},
      circuitAt: clock.now(),
    }))
    const order = { family, id: tokenId, fields: record.fields, policies: fields.policies, run }
    const { restored, error } = await putBack({ api, clock }, order)
    if (restored) events.emit('rolledBack', { at: clock.now(), target, snapshot: id, automatic: false })
    return { target, restored, undo, ...(error !== undefined && { error }) }
  }
}

/** What a row tells of a rollback. */
export function changeOfRollback({ target, restored, undo, error }: RollbackResult): TargetChange {
  return {
    name: target,
    outcome: restored ? 'restored' : 'rollback_failed',
    snapshot: undo,
    ...(error !== undefined && { errorCode: error.code, errorMessage: error.message }),
  }
}
