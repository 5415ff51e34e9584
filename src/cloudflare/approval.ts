import { isJsonObject } from '../kernel/canonical-json.ts'
import type { Clock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { TimeLimitError, withTimeLimit } from '../kernel/time-limit.ts'
import { type ApprovalProblem, PlanApprovalError } from './errors.ts'
import type { HealPlan } from './plan.ts'

/** Somebody's word for one plan: it holds for no other, and not for long. */
export interface PlanApproval {
  /** The plan's hash. */
  readonly planHash: string
  /** Who gave it. */
  readonly by: string
  /** Until when it holds, epoch ms. */
  readonly expiresAt: number
}

/** What an {@link ApproveCallback} is told beside the plan. */
export interface ApproveContext {
  /** Aborted when the answer comes too late, or the run ends. */
  readonly signal: AbortSignal
}

/**
 * Decides on a plan: `true`, or an approval bound to its hash; anything else is a no. It may take as long as `approvalTimeout`.
 */
export type ApproveCallback = (
  plan: HealPlan,
  context: ApproveContext,
) => boolean | PlanApproval | Promise<boolean | PlanApproval>

/**
 * Why an approval doesn't hold for a plan; `undefined` when it does.
 *
 * @throws InvalidInputError for what is no approval
 */
function problemOf(approval: unknown, hash: string, now: number): ApprovalProblem | undefined {
  const { planHash, by, expiresAt } = isJsonObject(approval) ? approval : {}
  if (typeof planHash !== 'string' || typeof by !== 'string' || by === '' || !Number.isFinite(expiresAt)) {
    throw new InvalidInputError('approval', 'is no approval', 'give { planHash, by, expiresAt }')
  }
  if (planHash !== hash) return 'other_plan'
  return (expiresAt as number) <= now ? 'expired' : undefined
}

/** What {@link approvedBy} goes by. */
export interface ApprovalInput {
  readonly plan: HealPlan
  readonly given: PlanApproval | undefined
  readonly approve: ApproveCallback | undefined
  /** Whether the ceiling stands for an approval of this plan. */
  readonly byCeiling: boolean
  readonly clock: Clock
  readonly timeoutMs: number
  readonly signal: AbortSignal | undefined
  /** Told what the callback threw. */
  readonly onError: (error: unknown) => void
}

/**
 * Who approves a plan. An approval that is given settles it; else the callback is asked, where there is one; else the ceiling
 * stands for it, where it may.
 *
 * @throws PlanApprovalError when nobody does
 */
export async function approvedBy(input: ApprovalInput): Promise<string> {
  const { plan, given, approve, byCeiling, clock } = input
  if (given !== undefined) {
    const problem = problemOf(given, plan.planHash, clock.now())
    if (problem !== undefined) throw new PlanApprovalError(problem)
    return given.by
  }
  if (approve === undefined) {
    if (!byCeiling) throw new PlanApprovalError('missing')
    return 'ceiling'
  }
  const answer = await ask(input, approve)
  if (answer === true) return 'approve'
  if (typeof answer !== 'object' || answer === null) throw new PlanApprovalError('rejected')
  let problem: ApprovalProblem | undefined
  try {
    problem = problemOf(answer, plan.planHash, clock.now())
  } catch (error) {
    input.onError(error)
    problem = 'failed'
  }
  if (problem !== undefined) throw new PlanApprovalError(problem)
  return answer.by
}

async function ask(
  { plan, clock, timeoutMs, signal, onError }: ApprovalInput,
  approve: ApproveCallback,
): Promise<boolean | PlanApproval> {
  try {
    return await withTimeLimit(clock, timeoutMs, (own) => approve(structuredClone(plan), { signal: own }), signal)
  } catch (error) {
    signal?.throwIfAborted()
    onError(error)
    throw new PlanApprovalError(error instanceof TimeLimitError ? 'timeout' : 'failed')
  }
}
