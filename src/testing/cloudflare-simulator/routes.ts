import { SCOPES } from '../../cloudflare/known-groups.ts'
import { coverers, readResources, userResource } from '../../cloudflare/resources.ts'
import {
  authenticationError,
  bad,
  good,
  invalidToken,
  json,
  noUser,
  type SimulatedAnswer,
  type SimulatedRequest,
  unauthorized,
  wrongPlace,
} from './answers.ts'
import { PRODUCTS } from './groups.ts'
import { allowsAddress, isUsable, type SimulatedToken, shown, statusOf } from './token.ts'
import { update } from './update.ts'
import type { World } from './world.ts'

/** The family's tokens that a path is about. */
interface Place {
  readonly family: 'account' | 'user'
  readonly owner: string
  /** What follows the family's base path. */
  readonly rest: readonly string[]
}

/** The answer of a request; `undefined` when nothing is there. */
export function answerTo(request: SimulatedRequest, world: World): SimulatedAnswer | undefined {
  const { headers, path } = request
  const authorization = headers['authorization']
  if (authorization === undefined) {
    return bad(400, 9106, 'Missing X-Auth-Key, X-Auth-Email or Authorization headers')
  }
  if (!authorization.startsWith('Bearer ')) {
    const chain = { error_chain: [{ code: 6111, message: 'Invalid format for Authorization header' }] }
    return bad(400, 6003, 'Invalid request headers', chain)
  }
  const id = world.values.get(authorization.slice(7))
  const caller = id === undefined ? undefined : world.tokens.get(id)
  const segments = path.split('/').filter((segment) => segment !== '')
  const place = placeOf(segments, world)
  const ip = headers['x-simulated-ip'] ?? world.simulator.ip
  if (place?.rest[0] === 'verify') return verify(caller, place, ip, world)
  if (caller === undefined || !isUsable(caller, world.clock.now())) return bad(403, 9109, 'Invalid access token')
  if (segments[0] === 'user' && caller.family === 'account') return noUser()
  if (!allowsAddress(caller, ip, world.contains)) return wrongPlace(ip)
  caller.last_used_on = new Date(world.clock.now()).toISOString()
  if (path === '/user') return mayUser(caller, world) ? good({ id: world.user }) : unauthorized()
  if (place !== undefined) return tokens(request, place, caller, world)
  return segments[0] === 'accounts' ? product(segments, caller, world) : undefined
}

function placeOf(segments: readonly string[], { user }: World): Place | undefined {
  const [first, second, third] = segments
  if (first === 'user' && second === 'tokens') return { family: 'user', owner: user, rest: segments.slice(2) }
  if (first !== 'accounts' || third !== 'tokens' || second === undefined) return undefined
  return { family: 'account', owner: second, rest: segments.slice(3) }
}

/** K1, K2: needs no permission, and knows only the tokens of its family. */
function verify(caller: SimulatedToken | undefined, place: Place, ip: string, world: World): SimulatedAnswer {
  if (caller === undefined || caller.family !== place.family || caller.owner !== place.owner) return invalidToken()
  if (caller.status.startsWith('revoked')) return invalidToken()
  if (!allowsAddress(caller, ip, world.contains)) return wrongPlace(ip)
  const { id, expires_on, not_before } = caller
  const status = statusOf(caller, world.clock.now())
  return json(200, {
    success: true,
    errors: [],
    // The very code that also stands for an authentication error.
    messages: [{ code: 10000, message: 'This API Token is valid and active' }],
    result: {
      id,
      status,
      ...(expires_on !== undefined && { expires_on }),
      ...(not_before !== undefined && { not_before }),
    },
  })
}

function tokens(
  request: SimulatedRequest,
  place: Place,
  caller: SimulatedToken,
  world: World,
): SimulatedAnswer | undefined {
  const { method, query } = request
  const [id, below] = place.rest
  const read = may(caller, place, world, ['Read', 'Write'])
  if (!read) return unauthorized()
  if (id === 'permission_groups' && method === 'GET') return permissionGroups(query, place, world)
  const token = id === undefined ? undefined : world.tokens.get(id)
  if (token === undefined || token.family !== place.family || token.owner !== place.owner) {
    return bad(404, 1003, 'no such token')
  }
  if (method === 'GET' && below === undefined) return good(readToken(token, world))
  if (method !== 'PUT') return undefined
  if (!may(caller, place, world, ['Write'])) return unauthorized()
  const body = parsed(request.body)
  if (below === undefined) return change(token, body, caller, world)
  if (below !== 'value') return undefined
  if (typeof body !== 'object' || body === null) return bad(422, 1001, 'Request body is required')
  return roll(token, world)
}

/** K3: from the caller's own policies, as they are now. */
function may(caller: SimulatedToken, { family, owner }: Place, world: World, levels: readonly string[]): boolean {
  const name = family === 'account' ? 'Account API Tokens' : 'API Tokens'
  const resource = family === 'account' ? `${SCOPES.account}.${owner}` : userResource(owner)
  return levels.some((level) => holdsName(caller, `${name} ${level}`, resource, world))
}

function mayUser(caller: SimulatedToken, world: World): boolean {
  return ['Read', 'Write'].some((level) => holdsName(caller, `User Details ${level}`, userResource(world.user), world))
}

function holdsName(caller: SimulatedToken, name: string, resource: string, world: World): boolean {
  const ids = world.simulator.groups.filter((group) => group.name === name).map(({ id }) => id)
  return ids.some((id) => holds(caller, id, resource))
}

/** Whether a token grants a group on a resource, and no policy denies it. */
function holds({ policies }: SimulatedToken, id: string, resource: string): boolean {
  const wanted = coverers(resource, undefined)
  const effect = (sort: 'allow' | 'deny'): boolean =>
    policies.some(
      (policy) =>
        policy.effect === sort &&
        policy.permission_groups.some((group) => group.id === id) &&
        (readResources(policy.resources) ?? []).some((each) => wanted.includes(each)),
    )
  return effect('allow') && !effect('deny')
}

/** K9: pages, and filters on the decoded text. Accounts' tokens have no groups for users. */
function permissionGroups(query: URLSearchParams, { family }: Place, { simulator }: World): SimulatedAnswer {
  const name = query.get('name')
  const scope = query.get('scope')
  const all = simulator.groups.filter(({ scopes }) => family === 'user' || !scopes.includes(SCOPES.user))
  const found = all
    .filter((group) => name === null || group.name.toLowerCase().includes(name.toLowerCase()))
    .filter(({ scopes }) => scope === null || scopes.includes(scope))
  const asked = Number(query.get('per_page') ?? simulator.defaultPage)
  const size = Math.min(Number.isInteger(asked) && asked > 0 ? asked : simulator.defaultPage, simulator.maxPage)
  const page = Math.max(1, Number(query.get('page') ?? 1))
  const rows = found.slice((page - 1) * size, page * size)
  return good(rows, { result_info: { count: rows.length, page, per_page: size, total_count: found.length } })
}

function readToken(token: SimulatedToken, world: World): object {
  const stale = world.stale.get(token.id)
  if (stale !== undefined && stale.left > 0) {
    stale.left -= 1
    return stale.body
  }
  return structuredClone(shown(token, statusOf(token, world.clock.now())))
}

function change(token: SimulatedToken, body: unknown, caller: SimulatedToken, world: World): SimulatedAnswer {
  const { simulator, clock, omission, ceiling } = world
  const before = new Set(grantsOf(token))
  const was = structuredClone(shown(token, statusOf(token, clock.now())))
  const refused = update(token, body, {
    omission,
    ceiling,
    ungrantable: simulator.ungrantable,
    groups: simulator.groups,
    exists: (resource) => exists(resource, world),
    holds: (id, resource) => holds(caller, id, resource),
    newId: world.newId,
    modifiedOn: world.nextDate(token.modified_on),
  })
  if (refused !== undefined) return refused
  for (const grant of grantsOf(token)) {
    if (!before.has(grant)) world.pending.set(`${token.id} ${grant}`, simulator.propagation)
  }
  if (simulator.staleReads > 0) world.stale.set(token.id, { body: was, left: simulator.staleReads })
  const answer = good(structuredClone(shown(token, statusOf(token, clock.now()))))
  simulator.onUpdate?.(token)
  return answer
}

function grantsOf({ policies }: SimulatedToken): string[] {
  return policies
    .filter(({ effect }) => effect === 'allow')
    .flatMap(({ permission_groups }) => permission_groups.map(({ id }) => id))
}

/** K12: the old value is dead, the new one told once. */
function roll(token: SimulatedToken, world: World): SimulatedAnswer {
  for (const [value, id] of world.values) if (id === token.id) world.values.delete(value)
  const value = world.newValue(token.family, true)
  world.values.set(value, token.id)
  token.modified_on = world.nextDate(token.modified_on)
  return good(value)
}

/** K7: whether a resource can be named. The wildcard of buckets can't, nor can an account without its id. */
function exists(resource: string, { accounts, zones, buckets, user }: World): boolean {
  const last = resource.slice(resource.indexOf('/') + 1)
  const outer = resource.includes('/') ? resource.slice(0, resource.indexOf('/')) : undefined
  if (outer !== undefined && !accounts.has(outer.slice(SCOPES.account.length + 1))) return false
  const id = last.slice(last.lastIndexOf('.') + 1)
  if (last.startsWith(`${SCOPES.bucket}.`)) return buckets.has(last.slice(SCOPES.bucket.length + 1))
  if (last.startsWith(`${SCOPES.zone}.`)) return id === '*' || zones.has(id)
  if (last.startsWith(`${SCOPES.user}.`)) return id === user
  return last.startsWith(`${SCOPES.account}.`) && (id === '*' || accounts.has(id))
}

/** K10: products that need one of their groups, fresh ones refused for a while. */
function product(segments: readonly string[], caller: SimulatedToken, world: World): SimulatedAnswer | undefined {
  const account = segments[1] ?? ''
  const name = PRODUCTS[`/${segments.slice(2).join('/')}`]
  if (name === undefined) return undefined
  const resource = `${SCOPES.account}.${account}`
  const groups = world.simulator.groups.filter(
    (group) => group.name === `${name} Read` || group.name === `${name} Write`,
  )
  let inForce = false
  for (const { id } of groups) {
    if (!holds(caller, id, resource)) continue
    const key = `${caller.id} ${id}`
    const left = world.pending.get(key) ?? 0
    if (left > 0) world.pending.set(key, left - 1)
    else inForce = true
  }
  return inForce ? good([]) : authenticationError()
}

function parsed(body: string): unknown {
  try {
    return JSON.parse(body)
  } catch {
    return undefined
  }
}
