import { eventOf } from '../issuing/events.ts'
import { type Change, type Row, retryStale } from '../stores/commit.ts'
import { activityId, activityKind } from '../stores/usage-rows.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import { endOf, retire } from '../tokens/versions.ts'
import { byOf, numbers } from './rotation-changes.ts'
import type { StoredRotation } from './rotation-moves.ts'
import type { RotationParts } from './rotation-parts.ts'
import { type RotationRecord, rotationKind } from './rotation-record.ts'

/**
 * Watches over the graces of rotations that are done: when no older version has been used for a while, by the store's
 * activity rows, everyone has the new one.
 */
export class Adoption {
  readonly #parts: RotationParts

  /** @param parts - what the rotator is made of */
  constructor(parts: RotationParts) {
    this.#parts = parts
  }

  /**
   * Looks at one rotation.
   *
   * @returns whether it was found adopted now
   */
  check(stored: StoredRotation): Promise<boolean> {
    const { base, settings } = this.#parts
    const { store, clock } = base
    return retryStale(async () => {
      const { value: rotation } = stored
      // Another instance looks at it as well, and was faster.
      if ((await store.get(rotationKind, stored.id))?.revision !== stored.revision) return false
      const token = await store.get(tokenKind, rotation.token)
      const now = clock.now()
      const older = olderLive(token?.value, rotation, now)
      if (token === undefined || older.length === 0) {
        await this.#put(stored, undefined)
        return false
      }
      const quietSince = await this.#lastUse(rotation, older)
      const left = quietSince + settings.quiet - now
      if (left > 0) {
        await this.#put(stored, (await store.time()) + left)
        return false
      }
      await this.#adopt(stored, token, older, quietSince, now)
      return true
    })
  }

  /** When an older version was last used; at the least, when they were superseded. */
  async #lastUse(rotation: RotationRecord, older: readonly TokenVersion[]): Promise<number> {
    const { store } = this.#parts.base
    let last = rotation.switchedAt ?? rotation.startedAt
    for (const { n } of older) {
      const activity = await store.get(activityKind, activityId(rotation.token, n))
      if (activity !== undefined) last = Math.max(last, activity.value.lastAt)
    }
    return last
  }

  async #adopt(
    stored: StoredRotation,
    token: { readonly id: string; readonly revision: number; readonly value: TokenRecord },
    older: readonly TokenVersion[],
    quietSince: number,
    now: number,
  ): Promise<void> {
    const { base, settings } = this.#parts
    const { dueAt: _, ...rest } = stored.value
    const rotation: RotationRecord = { ...rest, adoptedAt: now }
    const retired = rotation.retireWhenQuiet ?? settings.retireWhenQuiet
    const by = byOf(rotation)
    const payload = { ...eventOf(token.value, by, now), ...numbers(rotation), quietSince, retired }
    const row: Row = { kind: rotationKind, id: rotation.id, value: rotation, expected: stored.revision }
    const changes: Change<TokenRecord>[] = []
    if (retired) {
      const { value, id, revision } = token
      let { versions } = value
      for (const { n } of older) versions = retire(versions, value.lifetime, n, now)
      const detail = { rotation: rotation.id, version: rotation.version }
      const to = { value: { ...value, versions, updatedAt: now } }
      changes.push({ kind: tokenKind, id, revision, to, action: 'rotation.adopted', detail })
    }
    await base.write(by, changes, [{ name: 'rotation.adopted', about: token.id, payload }], [row])
  }

  /** Looks again at `dueAt`, or never. */
  async #put({ id, revision, value }: StoredRotation, dueAt: number | undefined): Promise<void> {
    const { dueAt: _, ...rest } = value
    const next: RotationRecord = dueAt === undefined ? rest : { ...rest, dueAt }
    // Another instance that looked at it first has written the same.
    await this.#parts.base.commits.put([{ kind: rotationKind, id, value: next, expected: revision }])
  }
}

/** The versions older than a rotation's that verify still. */
function olderLive(token: TokenRecord | undefined, rotation: RotationRecord, now: number): TokenVersion[] {
  if (token === undefined || token.revoked !== undefined) return []
  return token.versions.filter(
    (version) => version.n < rotation.version && version.state === 'previous' && now < endOf(version, token.lifetime),
  )
}
