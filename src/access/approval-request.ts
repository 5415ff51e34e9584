import { checkJson, type JsonObject } from '../kernel/bytes.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { RISKS, type Risk } from '../tokens/risk.ts'

/** A call that needs an approval, as a refusal gives it: hand it to {@link ApprovalGate.request}. */
export interface ApprovalRequest {
  /** The token's id, or `agent:<name>`. */
  readonly token: string
  readonly service: string
  /** Whose token it is. */
  readonly owner?: string | undefined
  readonly tool: string
  /** The arguments of the call; the approval is for these alone. */
  readonly args: JsonObject
  readonly risk: Risk
}

// Its form is checked so that a token's text, put here by mistake, is refused and not kept.
const TOKEN = /^(?:tok_[0-9A-Za-z]{20}$|agent:.)/

/**
 * Checks what is asked for.
 *
 * @throws InvalidInputError for what is no request
 */
export function parseRequest(input: unknown): Omit<ApprovalRequest, 'owner'> & { readonly owner?: string } {
  const request = checkFields('request', input, ['token', 'service', 'owner', 'tool', 'args', 'risk'])
  const { token, service, owner, tool, risk } = request
  for (const [field, value] of Object.entries({ token, service, tool })) {
    if (typeof value === 'string' && value !== '' && value.length <= 256) continue
    throw new InvalidInputError(
      `request.${field}`,
      'is not a text of 1 to 256 characters',
      "give a refusal's approvalRequest",
    )
  }
  if (!TOKEN.test(token as string)) {
    throw new InvalidInputError(
      'request.token',
      'is neither the id of a token nor agent:<name>',
      "give a refusal's approvalRequest",
    )
  }
  if (!RISKS.includes(risk as Risk)) {
    throw new InvalidInputError('request.risk', 'is not a risk', `use ${RISKS.join(', ')}`)
  }
  if (owner !== undefined && (typeof owner !== 'string' || owner.length > 256)) {
    throw new InvalidInputError('request.owner', 'is not a name', 'leave it out')
  }
  const args = checkJson('request.args', request['args'] ?? {}, { maxBytes: 8192 })
  const named = { token: token as string, service: service as string, tool: tool as string, risk: risk as Risk, args }
  return owner === undefined ? named : { ...named, owner }
}
