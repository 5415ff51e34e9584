import type { Random } from '../kernel/random.ts'
import type { Write } from '../stores/token-store.ts'
import { type ActivityRecord, activityId, activityKind } from '../stores/usage-rows.ts'
import { oneDigest } from '../tokens/digest.ts'
import { previewOf, type TokenFormat } from '../tokens/format.ts'
import type { KeyRing } from '../tokens/key-ring.ts'
import type { TokenVersion } from '../tokens/record.ts'
import type { Version } from '../tokens/versions.ts'

/** What a version keeps of its text: a digest, a preview, and a sealed copy if the token is retrievable. */
export function proofOf(
  text: string,
  token: { readonly id: string; readonly format: TokenFormat },
  n: number,
  keys: KeyRing,
  random: Random,
): Omit<TokenVersion, keyof Version> {
  const proof = { preview: previewOf(token.format, text), digests: oneDigest(keys.activeId, keys.digest(text)) }
  if (!token.format.retrievable) return proof
  return { ...proof, sealed: keys.seal(text, sealContext(token.id, n), random) }
}

/** What a sealed copy is bound to. */
export function sealContext(id: string, n: number): string[] {
  return ['token', id, String(n)]
}

/** The activity row that is born with a version. */
export function birthOf(id: string, n: number, now: number): Write {
  const value: ActivityRecord = { calls: 0, lastAt: now }
  return { kind: activityKind, id: activityId(id, n), value }
}
