import { canonicalJson, isJsonObject } from '../kernel/canonical-json.ts'
import { SCOPES, type Scope } from './known-groups.ts'

/** The `resources` of a policy: flat, or nested by account. */
export type ResourceMap =
  | { readonly [key: string]: string }
  | { readonly [key: string]: { readonly [key: string]: string } }

const ACCOUNT = `${SCOPES.account}.`
const ZONE = `${SCOPES.zone}.`
const USER = `${SCOPES.user}.`
const BUCKET = `${SCOPES.bucket}.`

/** All accounts that the owner can reach. */
export const ALL_ACCOUNTS = `${ACCOUNT}*`
/** All zones that the owner can reach; the form of user tokens. */
export const ALL_ZONES = `${ZONE}*`
/** The owner of a user token whose id isn't known. */
export const THIS_USER = `${USER}~`

/** The resource that is one account. */
export const accountResource = (id: string): string => `${ACCOUNT}${id}`
/** The resource that is all zones of one account. */
export const zonesOfAccount = (id: string): string => `${ACCOUNT}${id}/${ALL_ZONES}`
/** The resource that is one zone. */
export const zoneResource = (id: string): string => `${ZONE}${id}`
/** The resource that is one user. */
export const userResource = (id: string): string => `${USER}${id}`
/** The resource that is one R2 bucket, by `<account>_<jurisdiction>_<name>`. */
export const bucketResource = (id: string): string => `${BUCKET}${id}`

/**
 * The single resources of a policy's map, each as one text: the key, or `outer/inner` of a nested one. What isn't granted by
 * `"*"` is no resource that is understood, and stands with its value: `key=value`.
 *
 * @returns `undefined` when it is no map of resources
 */
export function readResources(value: unknown): string[] | undefined {
  if (!isJsonObject(value)) return undefined
  const found: string[] = []
  for (const [key, inner] of Object.entries(value)) {
    if (typeof inner === 'string') found.push(inner === '*' ? key : `${key}=${inner}`)
    else if (!isJsonObject(inner)) return undefined
    else {
      for (const [below, how] of Object.entries(inner)) {
        if (typeof how !== 'string') return undefined
        found.push(how === '*' ? `${key}/${below}` : `${key}/${below}=${how}`)
      }
    }
  }
  return found
}

/** The map of one resource, as a policy of its own has it. */
export function mapOf(resource: string): ResourceMap {
  const slash = resource.indexOf('/')
  return slash < 0 ? { [resource]: '*' } : { [resource.slice(0, slash)]: { [resource.slice(slash + 1)]: '*' } }
}

/** A text that two maps share only if they are the same, whatever the order of their keys. */
export function resourcesKey(resources: unknown): string {
  return canonicalJson(resources)
}

/** The scope to which a resource belongs; `undefined` for one that isn't known. */
export function scopeOf(resource: string): Scope | undefined {
  const last = resource.slice(resource.indexOf('/') + 1)
  if (last.startsWith(ZONE)) return SCOPES.zone
  if (last.startsWith(BUCKET)) return SCOPES.bucket
  if (last.startsWith(USER)) return SCOPES.user
  return last.startsWith(ACCOUNT) ? SCOPES.account : undefined
}

/** What grants what, for the tokens of one account or user. */
export class Coverage {
  readonly #zone: readonly string[]

  /** @param account - the account whose token it is: all that an account token reaches is in its account */
  constructor(account: string | undefined) {
    const own = account === undefined ? [] : [zonesOfAccount(account)]
    this.#zone = [ALL_ZONES, ...own, `${ALL_ACCOUNTS}/${ALL_ZONES}`]
  }

  /**
   * Every resource beside this one that, granted, grants it too. A list rather than a test, so that a look-up is enough; the
   * lists of most resources are the same one.
   */
  wider(resource: string): readonly string[] {
    if (resource.startsWith(ZONE)) return this.#zone
    const slash = resource.indexOf('/')
    if (slash >= 0) {
      if (resource.endsWith(`/${ALL_ZONES}`)) return WIDER_ZONES
      // One zone of one account, nested or flat.
      return [resource.slice(slash + 1), `${resource.slice(0, slash)}/${ALL_ZONES}`, ...WIDER_ZONES]
    }
    if (resource.startsWith(ACCOUNT)) return WIDER_ACCOUNTS
    return resource.startsWith(USER) ? WIDER_USERS : NONE
  }

  /** As {@link Coverage.wider}, the resource itself first. */
  coverers(resource: string): readonly string[] {
    return [resource, ...this.wider(resource)]
  }
}

const WIDER_ZONES: readonly string[] = [ALL_ZONES, `${ALL_ACCOUNTS}/${ALL_ZONES}`]
const WIDER_ACCOUNTS: readonly string[] = [ALL_ACCOUNTS]
const WIDER_USERS: readonly string[] = [`${USER}*`]
const NONE: readonly string[] = []

/** Every resource that, granted, grants this one too, itself first. */
export function coverers(resource: string, account: string | undefined): readonly string[] {
  return new Coverage(account).coverers(resource)
}

/** The id of the user in one of these resources, if there is one. */
export function userIdIn(resources: Iterable<string>): string | undefined {
  for (const resource of resources) {
    const id = resource.startsWith(USER) ? resource.slice(USER.length) : ''
    if (/^[0-9a-f]{32}$/.test(id)) return id
  }
  return undefined
}
