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

/**
 * Every resource that, granted, grants this one too, itself first. A list rather than a test, so that a look-up is enough.
 *
 * @param resource - what is needed
 * @param account - the account whose token it is: all that an account token reaches is in its account
 */
export function coverers(resource: string, account: string | undefined): string[] {
  const found = [resource]
  if (resource.startsWith(ZONE)) {
    if (resource !== ALL_ZONES) found.push(ALL_ZONES)
    if (account !== undefined) found.push(zonesOfAccount(account))
    found.push(`${ALL_ACCOUNTS}/${ALL_ZONES}`)
  } else if (resource.endsWith(`/${ALL_ZONES}`)) {
    found.push(ALL_ZONES, `${ALL_ACCOUNTS}/${ALL_ZONES}`)
  } else if (resource.includes('/')) {
    const outer = resource.slice(0, resource.indexOf('/'))
    const inner = resource.slice(outer.length + 1)
    // One zone of one account, nested or flat.
    found.push(inner, `${outer}/${ALL_ZONES}`, ALL_ZONES, `${ALL_ACCOUNTS}/${ALL_ZONES}`)
  } else if (resource.startsWith(ACCOUNT)) {
    found.push(ALL_ACCOUNTS)
  } else if (resource.startsWith(USER)) {
    found.push(`${USER}*`)
  }
  return [...new Set(found)]
}

/** The id of the user in one of these resources, if there is one. */
export function userIdIn(resources: Iterable<string>): string | undefined {
  for (const resource of resources) {
    const id = resource.startsWith(USER) ? resource.slice(USER.length) : ''
    if (/^[0-9a-f]{32}$/.test(id)) return id
  }
  return undefined
}
