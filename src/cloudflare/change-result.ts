import type { Grant } from './grant.ts'

/**
 * What became of a change that was sent, or needn't be:
 *
 * - `healed`, `narrowed`: read back as planned
 * - `nothing_to_do`: the plan changes nothing
 * - `incomplete`: only a part of the grants is there, though Cloudflare said yes
 * - `failed`: refused, or it never came; the token is as it was
 * - `unknown`: no answer, and the token can't be read either
 * - `rolled_back`: something differed that wasn't to be touched, so it was put back
 * - `rollback_failed`: that didn't succeed; the snapshot has what it was
 * - `changed_elsewhere`: somebody else changed it right after, or meanwhile, and the change itself never came
 */
export type ChangeOutcome =
  | 'healed'
  | 'narrowed'
  | 'nothing_to_do'
  | 'incomplete'
  | 'failed'
  | 'unknown'
  | 'rolled_back'
  | 'rollback_failed'
  | 'changed_elsewhere'

/** What `apply` answers. */
export interface ChangeResult {
  /** The target's name. */
  readonly target: string
  readonly outcome: ChangeOutcome
  readonly planHash: string
  /** What it has now and hadn't. */
  readonly added: readonly Grant[]
  /** What was to be added and isn't there. */
  readonly notGranted: readonly Grant[]
  /** How many grants it lost. */
  readonly removed: number
  /** Whether the grants were seen to be in force; `null` = not looked for. Fresh ones take up to a minute. */
  readonly propagated: boolean | null
  /** What takes it back: `rollback(snapshot)`. Absent where nothing was sent. */
  readonly snapshot?: string
  /** Who approved it. */
  readonly approvedBy?: string
  /** What Cloudflare said, or what differs. */
  readonly error?: { readonly code: string; readonly message: string }
  /** How many requests it took, the change itself among them. */
  readonly requests: number
}
