import { eventOf } from '../issuing/events.ts'
import type { Stored } from '../kernel/kind.ts'
import type { Attribution, Change } from '../stores/commit.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import { endOf } from '../tokens/versions.ts'
import type { RotationEvents } from './events.ts'
import type { RotationRecord } from './rotation-record.ts'

/** The pending version that a rotation makes, while it can still become current. */
export function pendingOf(
  token: Stored<TokenRecord> | undefined,
  rotation: RotationRecord,
  now: number,
): TokenVersion | undefined {
  if (token === undefined || token.value.revoked !== undefined) return undefined
  const version = token.value.versions.find((v) => v.n === rotation.version)
  if (version?.state !== 'pending' || now >= endOf(version, token.value.lifetime)) return undefined
  return version
}

/** Why a rotation's version can't become, or isn't, the current one any more; `undefined` while it can, or is. */
export function lossOf(
  token: Stored<TokenRecord> | undefined,
  rotation: RotationRecord,
  now: number,
): 'token_revoked' | 'pending_ended' | 'superseded' | undefined {
  const version = token?.value.versions.find((v) => v.n === rotation.version)
  if (version === undefined || token?.value.revoked !== undefined) return 'token_revoked'
  if (rotation.switchedAt !== undefined) return version.state === 'current' ? undefined : 'superseded'
  return pendingOf(token, rotation, now) === undefined ? 'pending_ended' : undefined
}

/** Who asked for a rotation, and why. */
export function byOf({ actor, reason }: RotationRecord): Attribution {
  return { actor, reason }
}

/** The id and the version of a rotation, as events tell them. */
export function numbers({ id, version }: RotationRecord): { readonly rotation: string; readonly version: number } {
  return { rotation: id, version }
}

/** The change of a token by which a rotation's version becomes current. */
export function rotatedChange(token: Stored<TokenRecord>, rotation: RotationRecord): Change<TokenRecord> {
  const { id, version, graceUntil, rule, slot, batch } = rotation
  const detail = {
    rotation: id,
    version,
    ...(graceUntil !== undefined && { graceUntil }),
    ...(rule !== undefined && { rule }),
    ...(slot !== undefined && { slot }),
    ...(batch !== undefined && { batch }),
  }
  const { id: subject, revision, value } = token
  return { kind: tokenKind, id: subject, revision, to: { value }, action: 'token.rotated', detail }
}

/** What `token.rotated` tells. */
export function rotatedPayload(
  token: TokenRecord,
  rotation: RotationRecord,
  at: number,
): RotationEvents['token.rotated'] {
  const { graceUntil, rule } = rotation
  return {
    ...eventOf(token, byOf(rotation), at),
    ...numbers(rotation),
    ...(graceUntil !== undefined && { graceUntil }),
    ...(rule !== undefined && { rule }),
  }
}
