import { abbreviated, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Secret } from '../kernel/secret.ts'
import { checkToken } from './client.ts'
import { type RequiredInput, type RequirementList, readRequirements } from './requirement.ts'
import { isId } from './token-record.ts'

/** A token that is looked after. */
export interface TargetInput {
  /** Whose it is. Default: by the prefix of `token`, else found out at the first check. */
  readonly kind?: 'account' | 'user' | undefined
  /** The account of an account's token; for a user's token, the account that `account` and `zones` mean. */
  readonly accountId?: string | undefined
  /** The token's id. Default: what its own verification tells. */
  readonly tokenId?: string | undefined
  /** Its text: with it the token is verified by itself, without it `verified` stays `null`. */
  readonly token?: string | Secret | undefined
  /** What reports call it. Default: its kind. */
  readonly name?: string | undefined
  /** What this one needs, instead of the healer's `required`. */
  readonly required?: RequiredInput | undefined
}

/** A target, checked. */
export interface Target {
  readonly name: string
  readonly kind: 'account' | 'user' | undefined
  readonly accountId: string | undefined
  readonly tokenId: string | undefined
  readonly token: Secret | undefined
  /** By the kind that it turns out to have. */
  readonly required: { readonly account: RequirementList | undefined; readonly user: RequirementList | undefined }
}

const MAX_TARGETS = 1000

/**
 * Checks the targets.
 *
 * @param inputs - as the host wrote them
 * @param required - what those need that don't say
 * @throws InvalidInputError for a malformed id, a target that can't be found, two of one name or id
 */
export function readTargets(inputs: unknown, required: RequiredInput | undefined): Target[] {
  if (!Array.isArray(inputs) || inputs.length === 0 || inputs.length > MAX_TARGETS) {
    throw new InvalidInputError(
      'targets',
      `must be 1 to ${MAX_TARGETS} tokens`,
      "give [{ kind: 'account', accountId, tokenId }]",
    )
  }
  const names = new Set<string>()
  const ids = new Set<string>()
  return inputs.map((input: unknown, index) => {
    const target = readTarget(`targets[${index}]`, input, required, names)
    names.add(target.name)
    if (target.tokenId !== undefined) {
      if (ids.has(target.tokenId))
        throw new InvalidInputError(`targets[${index}].tokenId`, 'is there twice', 'name it once')
      ids.add(target.tokenId)
    }
    return target
  })
}

function readTarget(field: string, input: unknown, fallback: RequiredInput | undefined, names: Set<string>): Target {
  const given = checkFields(field, input, ['kind', 'accountId', 'tokenId', 'token', 'name', 'required']) as TargetInput
  const { accountId, tokenId } = given
  const token = given.token === undefined ? undefined : checkToken(`${field}.token`, given.token)
  if (given.kind !== undefined && given.kind !== 'account' && given.kind !== 'user') {
    throw new InvalidInputError(`${field}.kind`, "is neither 'account' nor 'user'", 'write one of them')
  }
  for (const [key, id] of Object.entries({ accountId, tokenId })) {
    if (id !== undefined && !(typeof id === 'string' && isId(id))) {
      throw new InvalidInputError(`${field}.${key}`, 'is no id', 'an id has 32 lowercase hexadecimal digits')
    }
  }
  const shown = kindByPrefix(token)
  const kind = given.kind ?? shown
  if (shown !== undefined && kind !== shown) {
    throw new InvalidInputError(`${field}.kind`, `is '${kind}', and its text is of kind '${shown}'`, 'mend one of them')
  }
  if (kind === undefined && token === undefined) {
    throw new InvalidInputError(`${field}.kind`, 'is missing', "write 'account' or 'user', or give the token's text")
  }
  if (kind === 'account' && accountId === undefined) {
    throw new InvalidInputError(`${field}.accountId`, 'is missing', "an account's token is found by account and id")
  }
  if (tokenId === undefined && token === undefined) {
    throw new InvalidInputError(`${field}.tokenId`, 'is missing', "give the token's id, or its text")
  }
  const source = given.required ?? fallback
  if (source === undefined) {
    throw new InvalidInputError('required', 'is missing', 'say what the tokens need')
  }
  const at = given.required === undefined ? 'required' : `${field}.required`
  const both = { account: readRequirements(at, source, 'account'), user: readRequirements(at, source, 'user') }
  if (kind !== undefined && both[kind] === undefined) {
    throw new InvalidInputError(at, `has nothing for tokens of kind '${kind}'`, 'say what they need')
  }
  return { name: nameOf(field, given.name, kind, names), kind, accountId, tokenId, token, required: both }
}

function nameOf(field: string, given: unknown, kind: string | undefined, taken: ReadonlySet<string>): string {
  if (given === undefined) {
    const base = kind ?? 'token'
    let name = base
    for (let n = 2; taken.has(name); n++) name = `${base}-${n}`
    return name
  }
  if (typeof given !== 'string' || !/^[\w][\w .:/-]{0,63}$/.test(given)) {
    throw new InvalidInputError(`${field}.name`, 'is no name', 'use 1 to 64 letters, digits, spaces and ._:/-')
  }
  if (taken.has(given))
    throw new InvalidInputError(`${field}.name`, `'${abbreviated(given)}' is there twice`, 'choose another')
  return given
}

/** The kind that a scannable token shows; older ones have no prefix. */
function kindByPrefix(token: Secret | undefined): 'account' | 'user' | undefined {
  const text = token?.reveal() ?? ''
  return text.startsWith('cfat_') ? 'account' : text.startsWith('cfut_') ? 'user' : undefined
}
