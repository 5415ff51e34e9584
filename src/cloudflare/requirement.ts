import { abbreviated, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { editAlias, KNOWN_GROUPS, SCOPES, spellingOf } from './known-groups.ts'
import { isId } from './token-record.ts'

/** On what a permission group is needed. */
export type ResourceInput =
  | 'account'
  | 'accounts'
  | 'zones'
  | 'user'
  | { readonly account: string }
  | { readonly zone: string }
  | { readonly bucket: string }

/** A permission group that is needed on a resource. */
export interface RequirementSpec {
  /** The API's name (`D1 Write`), an id of 32 hexadecimal digits, or a spelling of the dashboard (`D1 Edit`). */
  readonly group: string
  /** Which of several groups of one name. Default: the only one, else the one that goes with the token's kind. */
  readonly scope?: keyof typeof SCOPES | undefined
  /**
   * On what: `account` (the target's own), `accounts` (all that its owner reaches), `zones` (all of the account), `user` (the
   * token's owner), or one account, zone or bucket by id. Default: by the group's scope, `account` or `user`; a group for zones
   * or buckets needs it said.
   */
  readonly resource?: ResourceInput | undefined
}

/** A named list of requirements, for accounts' and for users' tokens. */
export interface Template {
  readonly name: string
  readonly account: readonly (string | RequirementSpec)[]
  readonly user: readonly (string | RequirementSpec)[]
  /** What whoever uses it ought to know; told with every check. */
  readonly notes: readonly string[]
}

/** What a token needs: a group's name or id, a group on a resource, or a template. */
export type RequirementInput = string | RequirementSpec | Template

/** What targets need: the same for all, or by their kind. */
export type RequiredInput =
  | readonly RequirementInput[]
  | { readonly account?: readonly RequirementInput[]; readonly user?: readonly RequirementInput[] }

/** A requirement, checked and in one form, not yet resolved by the catalogue. */
export interface Requirement {
  /** As it was written. */
  readonly given: string
  /** The API's name where the spelling is known, else as it was written. */
  readonly group: string
  /** The scope's full name. */
  readonly scope?: string
  /** `account`, `accounts`, `zones`, `user`, `account:<id>`, `zone:<id>`, `bucket:<name>`. */
  readonly resource?: string
}

/** Requirements with what is to be said of them. */
export interface RequirementList {
  readonly list: readonly Requirement[]
  readonly notes: readonly string[]
}

const MAX_REQUIREMENTS = 500
const MAX_NAME = 120

/**
 * Checks requirements and brings them into one form.
 *
 * @param field - the option
 * @param input - as the host wrote them
 * @param kind - whose; `undefined` = not known yet: the same list for both
 * @throws InvalidInputError for an empty list, a malformed id, an unknown field
 * @throws SensitivePermissionError is `checkSensitive`'s
 */
export function readRequirements(
  field: string,
  input: RequiredInput,
  kind: 'account' | 'user',
): RequirementList | undefined {
  const own = Array.isArray(input) ? input : (input as { readonly [kind: string]: unknown })?.[kind]
  if (!Array.isArray(input)) {
    const given = checkFields(field, input, ['account', 'user'])
    if (given['account'] === undefined && given['user'] === undefined) throw empty(field)
    if (own === undefined) return undefined
  }
  if (!Array.isArray(own) || own.length === 0) throw empty(field)
  const list = new Map<string, Requirement>()
  const notes: string[] = []
  const add = (each: string | RequirementSpec, at: string): void => {
    const requirement = readOne(at, each)
    const { group, scope = '', resource = '' } = requirement
    list.set(`${group}|${scope}|${resource}`, requirement)
  }
  for (const [index, each] of (own as readonly RequirementInput[]).entries()) {
    const at = `${field}[${index}]`
    if (!isTemplate(each)) {
      add(each, at)
      continue
    }
    checkTemplate(at, each)
    for (const [place, inner] of each[kind].entries()) add(inner, `${at}.${kind}[${place}]`)
    notes.push(...each.notes)
  }
  if (list.size === 0) return undefined
  if (list.size > MAX_REQUIREMENTS) {
    throw new InvalidInputError(field, `holds more than ${MAX_REQUIREMENTS} requirements`, 'name fewer')
  }
  return { list: [...list.values()], notes }
}

function empty(field: string): InvalidInputError {
  return new InvalidInputError(
    field,
    'requires nothing',
    "give permission groups, such as ['D1 Write'], or a template; a token that needs none needs no healer",
  )
}

function isTemplate(input: RequirementInput): input is Template {
  return typeof input === 'object' && input !== null && 'account' in input && 'user' in input && 'notes' in input
}

function checkTemplate(field: string, template: Template): void {
  const { name, account, user, notes } = checkFields(field, template, ['name', 'account', 'user', 'notes'])
  const lists = [account, user, notes].every((list) => Array.isArray(list))
  const texts = lists && (notes as readonly unknown[]).every((note) => typeof note === 'string')
  if (typeof name !== 'string' || name === '' || name.length > 64 || !texts) {
    throw new InvalidInputError(field, 'is no template', 'make it with defineTemplate')
  }
}

function readOne(field: string, input: unknown): Requirement {
  const spec = typeof input === 'string' ? { group: input } : checkFields(field, input, ['group', 'scope', 'resource'])
  const { group: given, scope, resource } = spec as { group?: unknown; scope?: unknown; resource?: unknown }
  if (typeof given !== 'string' || given === '' || given.trim() !== given || given.length > MAX_NAME) {
    throw new InvalidInputError(field, 'names no permission group', "write its name, such as 'D1 Write', or its id")
  }
  // Something of hexadecimal digits alone is meant as an id, and a wrong one is told now.
  if (/^[0-9a-fA-F-]{16,}$/.test(given) && !isId(given)) {
    throw new InvalidInputError(field, `is no id: '${abbreviated(given)}'`, 'an id has 32 lowercase hexadecimal digits')
  }
  const spelling = isId(given) ? { name: given } : spellingOf(given)
  if (spelling === undefined) {
    const help = "no such name exists; write the permission group's name, such as 'D1 Write'"
    throw new InvalidInputError(field, `is a dotted name that isn't known: '${abbreviated(given)}'`, help)
  }
  if (scope !== undefined && !(typeof scope === 'string' && Object.hasOwn(SCOPES, scope))) {
    throw new InvalidInputError(`${field}.scope`, 'is no scope', "write 'account', 'zone', 'user' or 'bucket'")
  }
  const place = resource === undefined ? undefined : readResource(`${field}.resource`, resource)
  return {
    given,
    group: spelling.name,
    ...(scope !== undefined && { scope: SCOPES[scope as keyof typeof SCOPES] }),
    ...(place !== undefined && { resource: place }),
  }
}

function readResource(field: string, input: unknown): string {
  if (typeof input === 'string' && ['account', 'accounts', 'zones', 'user'].includes(input)) return input
  const fault = (): InvalidInputError =>
    new InvalidInputError(
      field,
      'is no resource',
      "write 'account', 'accounts', 'zones', 'user', { account: id }, { zone: id } or { bucket: name }",
    )
  if (typeof input !== 'object' || input === null) throw fault()
  const [entry, ...rest] = Object.entries(checkFields(field, input, ['account', 'zone', 'bucket']))
  if (entry === undefined || rest.length > 0) throw fault()
  const [kind, id] = entry
  if (typeof id !== 'string') throw fault()
  if (kind === 'bucket') {
    // <account>_<jurisdiction>_<name>; a wildcard in it is refused by Cloudflare as a resource that doesn't exist.
    if (!/^[0-9a-f]{32}_[a-z]{2,16}_[a-z0-9][a-z0-9.-]{1,62}$/.test(id)) {
      throw new InvalidInputError(field, 'is no bucket', "write '<account id>_<jurisdiction>_<name>'")
    }
  } else if (!isId(id)) {
    throw new InvalidInputError(field, 'is no id', 'an id has 32 lowercase hexadecimal digits')
  }
  return `${kind}:${id}`
}

/**
 * The name of the group that a requirement means, as far as it is known without the catalogue. The dashboard's `Edit` counts as
 * `Write`: what is refused under one name must not pass under the other.
 */
export function knownName({ group }: Requirement): string {
  const name = isId(group) ? (KNOWN_GROUPS.find(({ id }) => id === group)?.name ?? group) : group
  return editAlias(name) ?? name
}

/**
 * A template of one's own.
 *
 * @param name - what reports call it
 * @param lists - what accounts' and users' tokens need by it, and what whoever uses it ought to know
 * @throws InvalidInputError for a template of nothing, and for what is no permission group
 * @example
 * ```ts sketch
 * const deploy = defineTemplate('deploy', { account: ['Workers Scripts Write', 'Workers KV Storage Write'] })
 * new CloudflareTokenHealer({ required: [deploy], … })
 * ```
 */
export function defineTemplate(
  name: string,
  lists: {
    readonly account?: readonly (string | RequirementSpec)[]
    readonly user?: readonly (string | RequirementSpec)[]
    readonly notes?: readonly string[]
  },
): Template {
  checkFields('template', lists, ['account', 'user', 'notes'])
  const { account = [], user = [], notes = [] } = lists
  checkTemplate('template', { name, account, user, notes })
  const template = Object.freeze({ name, account: [...account], user: [...user], notes: [...notes] })
  if (account.length + user.length === 0) throw empty('template')
  for (const [index, each] of [...account, ...user].entries()) readOne(`template[${index}]`, each)
  return template
}
