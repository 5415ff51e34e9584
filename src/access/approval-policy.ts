import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { atLeast, RISKS, type Risk } from '../tokens/risk.ts'

/** Which calls need an approval. */
export interface ApprovalPolicyInput {
  /** Tools of this risk or a higher one; `never` = only those named. Default `critical`. */
  readonly from?: Risk | 'never' | undefined
  /** These tools too, whatever their risk. */
  readonly tools?: readonly string[] | undefined
  /**
   * Tools of at most this risk are approved by themselves, and the journal says so; for a policy that is still being
   * tried out. Default: none are.
   */
  readonly autoApprove?: Risk | undefined
}

/** A policy, checked. */
export interface ApprovalPolicy {
  /** Whether a call of a tool needs an approval. */
  needs(tool: string, risk: Risk | undefined): boolean
  /** Whether it is approved without anybody. */
  isAutomatic(risk: Risk): boolean
}

/**
 * Checks a policy.
 *
 * @throws InvalidInputError for a risk that is none
 */
export function approvalPolicy(input: ApprovalPolicyInput = {}): ApprovalPolicy {
  checkFields('approvals.policy', input, ['from', 'tools', 'autoApprove'])
  const { from = 'critical', tools = [], autoApprove } = input
  for (const [name, risk] of Object.entries({ from, autoApprove })) {
    if (risk === undefined || RISKS.includes(risk as Risk) || (name === 'from' && risk === 'never')) continue
    throw new InvalidInputError(`approvals.policy.${name}`, 'is not a risk', `use ${RISKS.join(', ')}`)
  }
  if (!Array.isArray(tools) || !tools.every((tool) => typeof tool === 'string')) {
    throw new InvalidInputError('approvals.policy.tools', 'is not a list of names', "write ['restart', …]")
  }
  const named = new Set(tools)
  return {
    needs: (tool, risk) => named.has(tool) || (risk !== undefined && from !== 'never' && atLeast(risk, from)),
    isAutomatic: (risk) => autoApprove !== undefined && atLeast(autoApprove, risk),
  }
}
