import { createPublicKey, verify } from 'node:crypto'
import { DONE, envelope, listed, Refusal, type SimulatedAnswer } from './answer.ts'
import { randomId } from './identifiers.ts'
import { type Mount, shelfOf } from './namespaces.ts'
import type { PublicContext, RouteContext } from './routes.ts'
import { grant, secondsOf } from './time.ts'
import { authOf } from './token-routes.ts'
import { policiesOf } from './tokens.ts'

type Fields = { readonly [name: string]: unknown }

/** The paths of login methods that need no token. */
export function isLogin(mount: Mount, rest: string): boolean {
  return mount.type === 'userpass' ? rest.startsWith('login/') : rest === 'login'
}

/** A login by any of the methods. */
export function login(context: PublicContext, mount: Mount, at: string, rest: string): SimulatedAnswer {
  if (context.request.method !== 'POST' && context.request.method !== 'PUT') {
    throw new Refusal(405, [listed('unsupported operation')])
  }
  if (mount.type === 'approle') return appRole(context, mount, at)
  if (mount.type === 'userpass') return userpass(context, mount, at, rest.slice('login/'.length))
  return byJwt(context, mount, at)
}

/** What is written about a login method: roles, users, settings. */
export function loginSettings({ request, now }: RouteContext, mount: Mount, rest: string): SimulatedAnswer {
  const { body, method } = request
  const [kind = '', given = '', part] = rest.split('/')
  // Users are the same in any letters.
  const name = mount.type === 'userpass' ? given.toLowerCase() : given
  const shelf = shelfOf(mount, kind)
  const writes = method === 'POST' || method === 'PUT'
  if (mount.type === 'approle' && kind === 'role' && part === 'role-id') {
    const found = shelf.get(name)
    if (found === undefined) throw new Refusal(404, [])
    if (!writes) return envelope({ data: { role_id: found['role_id'] } })
    shelf.set(name, { ...found, role_id: String(body['role_id']) })
    return DONE
  }
  if (mount.type === 'approle' && kind === 'role' && part === 'secret-id' && writes) {
    const found = shelf.get(name)
    if (found === undefined) throw new Refusal(404, [])
    const id = typeof body['secret_id'] === 'string' ? body['secret_id'] : randomId()
    const uses = Number(found['secret_id_num_uses'] ?? 0)
    const seconds = secondsOf(found['secret_id_ttl'])
    const expires = seconds > 0 ? now + seconds * 1000 : Number.POSITIVE_INFINITY
    const accessor = randomId()
    shelfOf(mount, 'secrets').set(id, { role: name, left: uses, limited: uses > 0, accessor, expires })
    return envelope({
      data: { secret_id: id, secret_id_accessor: accessor, secret_id_num_uses: uses, secret_id_ttl: seconds },
    })
  }
  if (kind === 'config' && writes) {
    shelfOf(mount, 'config').set('config', body)
    return DONE
  }
  if (!['role', 'users'].includes(kind) || name === '' || part !== undefined) {
    throw new Refusal(404, [listed('unsupported path')])
  }
  if (method === 'DELETE') shelf.delete(name)
  else if (writes) shelf.set(name, { role_id: randomId(), ...shelf.get(name), ...body })
  else if (!shelf.has(name)) throw new Refusal(404, [])
  else return envelope({ data: shelf.get(name) })
  return DONE
}

function appRole(context: PublicContext, mount: Mount, at: string): SimulatedAnswer {
  const { body } = context.request
  const { role_id: roleId, secret_id: secretId } = body
  if (typeof roleId !== 'string' || roleId === '') throw new Refusal(500, ['missing role_id'])
  const roles = shelfOf(mount, 'role')
  const wrong = new Refusal(400, ['invalid role or secret ID'])
  const [name, role] = [...roles].find(([, each]) => each['role_id'] === roleId) ?? []
  if (name === undefined || role === undefined) throw wrong
  if (role['bind_secret_id'] !== false) {
    if (typeof secretId !== 'string' || secretId === '') throw new Refusal(400, ['missing secret_id'])
    const secrets = shelfOf(mount, 'secrets')
    const found = secrets.get(secretId)
    if (found === undefined || found['role'] !== name || Number(found['expires']) <= context.now) throw wrong
    if (found['limited'] === true) {
      const left = Number(found['left']) - 1
      if (left <= 0) secrets.delete(secretId)
      else secrets.set(secretId, { ...found, left })
    }
  }
  return enter(context, { at: `${at}/login`, shelf: roles, name, meta: { role_name: name }, displayName: nameAt(at) })
}

function userpass(context: PublicContext, mount: Mount, at: string, given: string): SimulatedAnswer {
  const name = given.toLowerCase()
  const users = shelfOf(mount, 'users')
  const user = users.get(name)
  if (user === undefined || user['password'] !== context.request.body['password']) {
    throw new Refusal(400, ['invalid username or password'])
  }
  const path = `${at}/login/${name}`
  return enter(context, { at: path, shelf: users, name, meta: { username: name }, displayName: nameAt(at, name) })
}

function byJwt(context: PublicContext, mount: Mount, at: string): SimulatedAnswer {
  const { role, jwt } = context.request.body
  if (typeof jwt !== 'string' || jwt === '') throw new Refusal(400, ['missing token'])
  const roles = shelfOf(mount, 'role')
  const name = String(role ?? '')
  if (!roles.has(name)) throw new Refusal(400, [`role "${name}" could not be found`])
  const keys = shelfOf(mount, 'config').get('config')?.['jwt_validation_pubkeys']
  // A Kubernetes cluster is asked about its tokens; the simulated one knows all that aren't over.
  const claims = claimsOf(jwt, Array.isArray(keys) ? keys.map(String) : undefined)
  if (typeof claims['exp'] === 'number' && claims['exp'] * 1000 < context.now) {
    throw new Refusal(400, ['error validating token: invalid expiration time (exp) claim: token is expired'])
  }
  const subject = String(claims['sub'] ?? 'unknown')
  const account =
    mount.type === 'kubernetes' ? subject.replace('system:serviceaccount:', '').replace(':', '-') : subject
  const displayName = nameAt(at, account)
  return enter(context, { at: `${at}/login`, shelf: roles, name, meta: { role: name }, displayName })
}

/** What a token of a login is called: by the path that the method is mounted at, and whom it let in. */
function nameAt(at: string, ...who: readonly string[]): string {
  return [at.replace(/^auth\//, '').replaceAll('/', '-'), ...who].join('-')
}

function claimsOf(jwt: string, keys: readonly string[] | undefined): Fields {
  const [head = '', payload = '', signature = ''] = jwt.split('.')
  const wrong = new Refusal(400, ['error validating token: error verifying token signature: no known key'])
  const signed = Buffer.from(`${head}.${payload}`)
  const good = (key: string): boolean =>
    verify(
      'sha256',
      signed,
      { key: createPublicKey(key), dsaEncoding: 'ieee-p1363' },
      Buffer.from(signature, 'base64url'),
    )
  if (keys !== undefined && !keys.some(good)) throw wrong
  try {
    return JSON.parse(Buffer.from(payload, 'base64url').toString('utf8')) as Fields
  } catch {
    throw wrong
  }
}

/** What a login made sure of. */
interface Entrant {
  readonly at: string
  readonly shelf: Map<string, Fields>
  readonly name: string
  readonly meta: { readonly [name: string]: string }
  readonly displayName: string
}

function enter(context: PublicContext, { at, shelf, name, meta, displayName }: Entrant): SimulatedAnswer {
  const { now, namespace, tokens } = context
  const settings = (): { ttl: number; max: number; period: number } => {
    const found = shelf.get(name)
    if (found === undefined) {
      const text = `failed to renew entry: role "${name}" does not exist during renewal`
      throw new Refusal(500, [listed(text)])
    }
    return {
      ttl: secondsOf(found['token_ttl']) * 1000,
      max: secondsOf(found['token_max_ttl']) * 1000,
      period: secondsOf(found['token_period']) * 1000,
    }
  }
  const { ttl, max, period } = settings()
  const found = shelf.get(name) ?? {}
  const explicitMax = secondsOf(found['token_explicit_max_ttl']) * 1000
  const rule = { now, issued: now, increment: 0, backendTtl: ttl, period, backendMax: max, explicitMax }
  const { ttlMs, warnings } = grant(rule)
  const batch = found['token_type'] === 'batch'
  const token = tokens.add({
    type: batch ? 'batch' : 'service',
    policies: policiesOf(found['token_policies'] ?? found['policies'], found['token_no_default_policy'] !== true),
    path: at,
    meta,
    displayName,
    orphan: true,
    parent: undefined,
    namespace,
    entity: randomId(),
    initial: false,
    issued: now,
    creationTtl: ttlMs,
    period,
    explicitMax,
    renewable: !batch,
    role: undefined,
    renewBy: settings,
    expires: now + ttlMs,
    ttl: ttlMs,
    uses: Number(found['token_num_uses'] ?? 0),
    cidrs: Array.isArray(found['token_bound_cidrs']) ? found['token_bound_cidrs'].map(String) : [],
  })
  return envelope({ auth: authOf(token, ttlMs), warnings })
}
