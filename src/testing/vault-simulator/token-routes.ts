import { DONE, envelope, listed, Refusal, type SimulatedAnswer } from './answer.ts'
import type { RouteContext } from './routes.ts'
import { fieldError, grant, secondsOf } from './time.ts'
import { policiesOf, refuseForBatch, type SimulatedToken } from './tokens.ts'

/** `auth/token/…` */
export function tokenRoutes(context: RouteContext, rest: string): SimulatedAnswer {
  const { request, tokens, token } = context
  const { body, method } = request
  const writes = method === 'POST' || method === 'PUT'
  if (rest === 'lookup-self') return onlyBy(method, ['GET', 'POST', 'PUT'], () => lookup(context, token, true))
  if (rest === 'renew-self') return onlyBy(method, ['POST', 'PUT'], () => renew(context, token, true))
  if (rest === 'revoke-self') return onlyBy(method, ['POST', 'PUT'], () => revoke(context, token))
  if (rest === 'lookup' && writes) return lookup(context, byText(context, 403), true)
  if (rest === 'renew' && writes) return renew(context, byText(context, 400), true)
  if (rest === 'revoke' && writes) return revoke(context, byText(context, 400))
  if (rest === 'lookup-accessor' && writes) return lookup(context, byAccessor(context), false)
  if (rest === 'renew-accessor' && writes) return renew(context, byAccessor(context), false)
  if (rest === 'revoke-accessor' && writes) {
    if (!hasAccessor(context)) throw new Refusal(400, [listed('missing accessor')])
    const found = tokens.byAccessor(String(body['accessor']))
    return found === undefined ? envelope({ warnings: ['No token found with this accessor'] }) : revoke(context, found)
  }
  if (rest === 'create' && writes) return create(context, undefined, false)
  if (rest === 'create-orphan' && writes) return create(context, undefined, true)
  if (rest.startsWith('create/') && writes) return create(context, rest.slice('create/'.length), false)
  if (rest.startsWith('roles/')) return role(context, rest.slice('roles/'.length))
  throw new Refusal(404, [listed('unsupported path')])
}

function onlyBy(method: string, methods: readonly string[], answer: () => SimulatedAnswer): SimulatedAnswer {
  if (!methods.includes(method)) throw new Refusal(405, [listed('unsupported operation')])
  return answer()
}

function byText({ request, tokens }: RouteContext, status: 400 | 403): SimulatedToken {
  const found = tokens.find(String(request.body['token'] ?? ''))
  if (found === undefined) throw new Refusal(status, [status === 403 ? 'bad token' : 'token not found'])
  return found
}

function hasAccessor({ request }: RouteContext): boolean {
  return typeof request.body['accessor'] === 'string' && request.body['accessor'] !== ''
}

function byAccessor(context: RouteContext): SimulatedToken {
  if (!hasAccessor(context)) throw new Refusal(400, [listed('missing accessor')])
  const found = context.tokens.byAccessor(String(context.request.body['accessor']))
  if (found === undefined) throw new Refusal(400, [listed('invalid accessor')])
  return found
}

function lookup({ now }: RouteContext, token: SimulatedToken, shown: boolean): SimulatedAnswer {
  const seconds = (ms: number): number => Math.floor(ms / 1000)
  const iso = (at: number): string => new Date(at).toISOString()
  const { expires, lastRenewal } = token
  return envelope({
    data: {
      accessor: token.accessor,
      creation_time: seconds(token.issued),
      creation_ttl: seconds(token.creationTtl),
      display_name: token.displayName,
      entity_id: token.entity,
      expire_time: expires === undefined ? null : iso(expires),
      explicit_max_ttl: seconds(token.explicitMax),
      id: shown ? token.text : '',
      ...(!token.initial && { issue_time: iso(token.issued) }),
      ...(lastRenewal !== undefined && {
        last_renewal: iso(lastRenewal),
        last_renewal_time: seconds(lastRenewal),
      }),
      meta: token.meta,
      ...(token.namespace.path !== '' && { namespace_path: token.namespace.path }),
      num_uses: token.uses,
      orphan: token.orphan,
      path: token.path,
      ...(token.period > 0 && { period: seconds(token.period) }),
      policies: token.policies,
      ...(!token.initial && { renewable: token.renewable }),
      ...(token.role !== undefined && { role: token.role }),
      ttl: expires === undefined ? 0 : Math.max(0, Math.trunc((expires - Math.round(now / 1000) * 1000) / 1000)),
      type: token.type,
    },
  })
}

/** The part `auth` of an answer. */
export function authOf(token: SimulatedToken, ttlMs: number, shown = true): object {
  return {
    client_token: shown ? token.text : '',
    accessor: token.accessor,
    policies: token.policies,
    token_policies: token.policies,
    metadata: token.meta,
    lease_duration: Math.floor(ttlMs / 1000),
    renewable: token.renewable,
    entity_id: token.entity,
    token_type: token.type,
    orphan: token.orphan,
    mfa_requirement: null,
    num_uses: token.firstUses,
  }
}

function renew(context: RouteContext, token: SimulatedToken, shown: boolean): SimulatedAnswer {
  const { request, now, namespace } = context
  const increment = secondsOf(request.body['increment'], fieldError('increment')) * 1000
  if (token.type === 'batch') throw new Refusal(400, ['batch tokens cannot be renewed'])
  if (token.initial) throw new Refusal(400, ['invalid lease ID'])
  if (!token.renewable) throw new Refusal(400, ['lease is not renewable'])
  const roles = namespace.mounts.get('auth/token')?.shelves.get('roles')
  if (token.role !== undefined && !roles?.has(token.role)) {
    const text = `failed to renew entry: original token role "${token.role}" could not be found, not renewing`
    throw new Refusal(500, [listed(text)])
  }
  const by = token.renewBy?.()
  const roleMax = Number(roles?.get(token.role ?? '')?.['token_explicit_max_ttl'] ?? 0)
  const { ttlMs, warnings } = grant({
    now,
    issued: token.issued,
    increment,
    backendTtl: by?.ttl ?? token.ttl,
    period: by?.period ?? token.period,
    backendMax: by?.max ?? 0,
    explicitMax: Math.max(token.explicitMax, roleMax),
  })
  token.expires = now + ttlMs
  token.ttl = ttlMs
  token.lastRenewal = now
  return envelope({ auth: authOf(token, ttlMs, shown), warnings })
}

function revoke({ tokens }: RouteContext, token: SimulatedToken): SimulatedAnswer {
  if (token.type === 'batch') throw new Refusal(400, ['batch tokens cannot be revoked'])
  tokens.revoke(token)
  return DONE
}

function create(context: RouteContext, roleName: string | undefined, orphan: boolean): SimulatedAnswer {
  const { request, tokens, token: parent, now, namespace } = context
  const { body } = request
  if (parent.type === 'batch') throw new Refusal(400, ['batch tokens cannot create more tokens'])
  if (parent.firstUses > 0) throw new Refusal(400, ['restricted use token cannot generate child tokens'])
  const roles = namespace.mounts.get('auth/token')?.shelves.get('roles')
  const found = roleName === undefined ? undefined : roles?.get(roleName)
  if (roleName !== undefined && found === undefined) throw new Refusal(400, [`unknown role ${roleName}`])
  const type = body['type'] === 'batch' || found?.['token_type'] === 'batch' ? 'batch' : 'service'
  const uses = Number(body['num_uses'] ?? found?.['token_num_uses'] ?? 0)
  const explicitMax = secondsOf(body['explicit_max_ttl']) * 1000
  const period = Math.max(secondsOf(body['period']) * 1000, Number(found?.['token_period'] ?? 0))
  if (type === 'batch') {
    refuseForBatch('explicit_max_ttl', explicitMax > 0)
    refuseForBatch('num_uses', uses > 0)
    refuseForBatch('period', period > 0)
  }
  const given = body['policies'] ?? found?.['allowed_policies'] ?? parent.policies
  const policies = policiesOf(given, body['no_default_policy'] !== true)
  const warnings = policies
    .filter((name) => !namespace.policies.has(name))
    .map((name) => `Policy "${name}" does not exist`)
  const asked = secondsOf(body['ttl']) * 1000
  const endless = policies.includes('root') && asked === 0 && explicitMax === 0 && period === 0
  const granted = endless
    ? { ttlMs: 0, warnings: [] }
    : grant({
        now,
        issued: now,
        increment: asked,
        backendTtl: 0,
        period,
        backendMax: 0,
        explicitMax: Math.max(explicitMax, Number(found?.['token_explicit_max_ttl'] ?? 0)),
      })
  const { ttlMs } = granted
  const made = tokens.add({
    text: typeof body['id'] === 'string' ? body['id'] : undefined,
    type,
    policies,
    path: roleName === undefined ? 'auth/token/create' : `auth/token/create/${roleName}`,
    meta: (body['meta'] as SimulatedToken['meta'] | undefined) ?? null,
    displayName: body['display_name'] === undefined ? 'token' : `token-${String(body['display_name'])}`,
    orphan: orphan || body['no_parent'] === true || found?.['orphan'] === true,
    parent,
    namespace,
    entity: '',
    initial: false,
    issued: now,
    creationTtl: ttlMs,
    period,
    explicitMax,
    renewable: !endless && type === 'service' && body['renewable'] !== false && found?.['renewable'] !== false,
    role: roleName,
    renewBy: undefined,
    expires: endless ? undefined : now + ttlMs,
    ttl: ttlMs,
    uses,
    cidrs: [],
  })
  return envelope({ auth: authOf(made, ttlMs), warnings: [...granted.warnings, ...warnings] })
}

const ROLE_TIMES = ['token_period', 'token_explicit_max_ttl']

function role({ request, namespace }: RouteContext, name: string): SimulatedAnswer {
  const mount = namespace.mounts.get('auth/token') ?? { type: 'token', shelves: new Map() }
  namespace.mounts.set('auth/token', mount)
  const roles = mount.shelves.get('roles') ?? new Map<string, { readonly [field: string]: unknown }>()
  mount.shelves.set('roles', roles)
  if (request.method === 'DELETE') {
    roles.delete(name)
    return DONE
  }
  if (request.method === 'GET') {
    const found = roles.get(name)
    if (found === undefined) throw new Refusal(404, [])
    return envelope({ data: found })
  }
  const times = Object.fromEntries(ROLE_TIMES.map((field) => [field, secondsOf(request.body[field]) * 1000]))
  roles.set(name, { ...request.body, ...times })
  return DONE
}
