import { canonicalJson } from '../kernel/canonical-json.ts'
import type { Risk } from '../tokens/risk.ts'
import { sha256 } from './digest.ts'
import type { Grant } from './grant.ts'
import { TOKEN_WRITE } from './known-groups.ts'
import { isSensitive } from './sensitive.ts'
import { contentOf, type Policy, type TokenRecord } from './token-record.ts'

/** Which token a plan is for. */
export interface PlanTarget {
  /** The target's name. */
  readonly name: string
  readonly kind: 'account' | 'user'
  readonly accountId?: string
  readonly tokenId: string
}

/**
 * A change of one token's policies, thought out and not made: what they are, what they are to be, and what that adds or takes away.
 * Plain JSON without a secret: it can be shown, sent and kept. Everything in it but `createdAt` and `warnings` is under `planHash`.
 */
export interface HealPlan {
  readonly type: 'heal' | 'narrow'
  readonly target: PlanTarget
  /** What the token was: SHA-256 of its policies and fields, and when it was modified last. */
  readonly base: { readonly content: string; readonly modifiedOn: string | null }
  readonly before: readonly Policy[]
  readonly after: readonly Policy[]
  /** What it gets. */
  readonly added: readonly Grant[]
  /** What it loses; only by `narrow`. */
  readonly removed: readonly { readonly group: string; readonly name?: string; readonly resource: string }[]
  /** Needed, and not helped by this: a policy denies it. */
  readonly blocked: readonly Grant[]
  readonly risk: Risk
  /** Whether the healer would change its own credential. */
  readonly selfEscalation: boolean
  /** When it was made, epoch ms. */
  readonly createdAt: number
  readonly warnings: readonly string[]
  /** SHA-256, hexadecimal: what an approval is bound to. */
  readonly planHash: string
}

/** The parts of a plan that make its hash. */
export type PlanBody = Omit<HealPlan, 'planHash' | 'createdAt' | 'warnings'>

/** The hash of a plan: the same for the same change of the same state. */
export function planHash(body: PlanBody): Promise<string> {
  const { type, target, base, before, after, added, removed, blocked, risk, selfEscalation } = body
  return sha256(
    `tokenwright.plan.1\n${canonicalJson({ type, target, base, before, after, added, removed, blocked, risk, selfEscalation })}`,
  )
}

/** How much harm can come of a change. */
export function riskOfPlan(type: 'heal' | 'narrow', added: readonly Grant[], selfEscalation: boolean): Risk {
  if (selfEscalation || added.some(({ name }) => isSensitive(name))) return 'critical'
  // What loses a permission may stop working.
  if (type === 'narrow') return 'high'
  if (added.length === 0) return 'low'
  return added.every(({ name }) => name.endsWith(' Read')) ? 'moderate' : 'high'
}

/** SHA-256 of all that a change can touch. */
export function contentHash(record: TokenRecord, policies?: readonly Policy[]): Promise<string> {
  return sha256(contentOf(record.fields, policies))
}

/** Whether policies still let a credential write tokens of a family. */
export function canWriteTokens(
  policies: readonly Policy[],
  kind: 'account' | 'user',
  nameOfGroup: (id: string) => string | undefined,
): boolean {
  return policies.some(
    ({ effect, permission_groups }) =>
      effect === 'allow' && permission_groups.some(({ id }) => nameOfGroup(id) === TOKEN_WRITE[kind]),
  )
}
