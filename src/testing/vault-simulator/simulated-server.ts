import {
  DONE,
  denied,
  deniedByPolicy,
  envelope,
  Refusal,
  type SimulatedAnswer,
  type SimulatedRequest,
} from './answer.ts'
import { Cubbyholes } from './cubbyhole.ts'
import { randomId, randomText } from './identifiers.ts'
import { kvRoutes } from './kv-routes.ts'
import { SimulatedLeases } from './leases.ts'
import { isLogin, login, loginSettings } from './login-routes.ts'
import { type Mount, mountOf, Namespaces, type SimulatedNamespace } from './namespaces.ts'
import { Quotas } from './quotas.ts'
import type { PublicContext, RouteContext } from './routes.ts'
import { secondsOf } from './time.ts'
import { tokenRoutes } from './token-routes.ts'
import { SimulatedTokens } from './tokens.ts'

const VERSION = '2.7.2'
const LOGIN_TYPES = ['approle', 'userpass', 'jwt', 'kubernetes']
const ENGINE_TYPES = ['kv', 'database', 'pki']

interface Wrapped {
  readonly answer: SimulatedAnswer
  readonly path: string
  readonly created: number
  readonly ttlMs: number
}

/** What a simulated server is and knows; requests in, answers out, without a wire. */
export class SimulatedServer {
  readonly rootToken: string
  readonly unsealKey: string = Buffer.from(randomText(32)).toString('base64')
  readonly tokens: SimulatedTokens
  readonly leases: SimulatedLeases = new SimulatedLeases()
  sealed = false
  standby = false
  readonly #now: () => number
  readonly #namespaces = new Namespaces()
  readonly #quotas = new Quotas()
  readonly #cubbyholes = new Cubbyholes()
  readonly #wrapped = new Map<string, Wrapped>()
  readonly #cluster = { cluster_name: `vault-cluster-${randomText(8)}`, cluster_id: randomId() }

  constructor(now: () => number, rootToken: string, initialRoot: boolean) {
    this.#now = now
    this.rootToken = rootToken
    this.tokens = new SimulatedTokens(now, (token) => this.leases.revokeOf(token))
    this.tokens.add({
      text: rootToken,
      type: 'service',
      policies: ['root'],
      path: initialRoot ? 'auth/token/root' : 'auth/token/create',
      meta: null,
      displayName: initialRoot ? 'root' : 'token',
      orphan: true,
      parent: undefined,
      namespace: this.#namespaces.root,
      entity: '',
      initial: initialRoot,
      issued: now(),
      creationTtl: 0,
      period: 0,
      explicitMax: 0,
      renewable: false,
      role: undefined,
      renewBy: undefined,
      expires: undefined,
      ttl: 0,
      uses: 0,
      cidrs: [],
    })
  }

  /** Answers a request. */
  answer(request: SimulatedRequest): SimulatedAnswer {
    const named = request.headers['x-vault-namespace']
    const headers = { 'cache-control': 'no-store', ...(named !== undefined && { 'x-vault-namespace': named }) }
    try {
      const answer = this.#wrap(request, this.#route(request))
      return { ...answer, headers: { ...headers, ...answer.headers } }
    } catch (error) {
      if (!(error instanceof Refusal)) throw error
      return { status: error.status, headers: { ...headers, ...error.headers }, body: { errors: error.errors } }
    }
  }

  #route(request: SimulatedRequest): SimulatedAnswer {
    const { path, method, headers } = request
    const now = this.#now()
    if (path === 'sys/health') return this.#health(request, now)
    if (path === 'sys/seal-status') return { status: 200, body: this.#sealStatus() }
    if (path === 'sys/unseal') return this.#unseal(request)
    if (this.sealed) throw new Refusal(503, ['Vault is sealed'])
    const asked = this.#namespaces.find(headers['x-vault-namespace'])
    this.#quotas.take(path, now)
    const context: PublicContext = { request, namespace: asked, tokens: this.tokens, now }
    if (path === 'sys/wrapping/lookup') return this.#wrappedBy(request, now)
    if (path === 'sys/wrapping/unwrap') return this.#unwrap(request, now)
    const target = mountOf(asked, path)
    if (target !== undefined && LOGIN_TYPES.includes(target.mount.type) && isLogin(target.mount, target.rest)) {
      return login(context, target.mount, target.at, target.rest)
    }
    const text = headers['x-vault-token'] ?? bearerOf(headers['authorization'])
    // A wrapping token is good for unwrapping alone, and any other use spends it.
    if (text !== undefined && this.#wrapped.delete(text)) throw deniedByPolicy()
    const token = this.tokens.use(text)
    try {
      // What is about the token itself goes to the token's namespace, whatever the request names.
      const self = /^auth\/token\/(?:lookup|renew|revoke)-self$/.test(path)
      const namespace = self ? token.namespace : asked
      if (!namespace.path.startsWith(token.namespace.path)) throw denied()
      const { policies } = token.namespace
      if (!policies.allow(token.policies, method, path)) throw deniedByPolicy()
      return this.#authorized({ ...context, namespace, token }, target)
    } finally {
      this.tokens.used(token)
    }
  }

  #authorized(context: RouteContext, target: ReturnType<typeof mountOf>): SimulatedAnswer {
    const { path } = context.request
    if (path.startsWith('auth/token/')) return tokenRoutes(context, path.slice('auth/token/'.length))
    if (path.startsWith('cubbyhole/')) return this.#cubbyholes.routes(context, path.slice('cubbyhole/'.length))
    if (path.startsWith('sys/')) return this.#system(context, path.slice('sys/'.length))
    if (target === undefined) throw new Refusal(404, [`no handler for route "${path}". route entry not found.`])
    const { mount, at, rest } = target
    if (LOGIN_TYPES.includes(mount.type)) return loginSettings(context, mount, rest)
    if (mount.type === 'kv') return kvRoutes(context, mount, rest)
    return this.leases.secret(context, mount, at, rest)
  }

  #system(context: RouteContext, rest: string): SimulatedAnswer {
    const { request, namespace } = context
    const { body, method } = request
    const parts = rest.split('/')
    const after = (words: number): string => parts.slice(words).join('/')
    if (rest === 'seal') {
      this.sealed = true
      return DONE
    }
    if (parts[0] === 'leases') return this.leases.routes(context, after(1))
    if (parts[0] === 'quotas') return this.#quotas.routes(request, after(1))
    if (parts[0] === 'namespaces' && method !== 'GET') {
      const { id, path } = this.#namespaces.add(namespace, after(1))
      return envelope({ data: { custom_metadata: {}, id, locked: false, path, tainted: false, uuid: randomId() } })
    }
    if (parts[0] === 'policies' && parts[1] === 'acl' && method !== 'GET') {
      namespace.policies.put(after(2), String(body['policy'] ?? ''))
      return DONE
    }
    if (parts[0] === 'auth') return mountAt(namespace, `auth/${after(1)}`, body, method, LOGIN_TYPES)
    if (parts[0] === 'mounts') return mountAt(namespace, after(1), body, method, ENGINE_TYPES)
    throw new Refusal(404, [`no handler for route "sys/${rest}". route entry not found.`])
  }

  #health({ headers, query }: SimulatedRequest, now: number): SimulatedAnswer {
    if (headers['x-vault-namespace'] !== undefined) throw new Refusal(400, ['operation unavailable in namespaces'])
    const state = this.sealed ? 'sealed' : this.standby ? 'standby' : 'active'
    const codes = { sealed: 503, standby: query.has('standbyok') ? 200 : 429, active: 200 }
    const asked = Number(query.get(`${state}code`) ?? Number.NaN)
    return {
      status: Number.isNaN(asked) ? codes[state] : asked,
      body: {
        initialized: true,
        sealed: this.sealed,
        standby: this.sealed || this.standby,
        replication_performance_mode: this.sealed ? 'unknown' : 'disabled',
        replication_dr_mode: this.sealed ? 'unknown' : 'disabled',
        server_time_utc: Math.floor(now / 1000),
        version: VERSION,
        ...(!this.sealed && this.#cluster),
      },
    }
  }

  #sealStatus(): object {
    const { sealed } = this
    const base = { type: 'shamir', initialized: true, sealed, t: 1, n: 1, progress: 0, nonce: '', version: VERSION }
    return { ...base, migration: false, recovery_seal: false, storage_type: 'inmem', ...(!sealed && this.#cluster) }
  }

  #unseal({ body }: SimulatedRequest): SimulatedAnswer {
    if (body['key'] !== this.unsealKey) throw new Refusal(400, ['invalid key: the key is another'])
    this.sealed = false
    return { status: 200, body: this.#sealStatus() }
  }

  #wrap({ path, headers }: SimulatedRequest, answer: SimulatedAnswer): SimulatedAnswer {
    const ttlMs = secondsOf(headers['x-vault-wrap-ttl']) * 1000
    const body = answer.body as { readonly auth?: { readonly accessor?: string } | null } | undefined
    if (ttlMs === 0 || answer.status !== 200 || body === undefined || path.startsWith('sys/wrapping/')) return answer
    const token = `s.${randomText(24)}`
    const created = this.#now()
    this.#wrapped.set(token, { answer, path, created, ttlMs })
    return envelope({
      wrapInfo: {
        token,
        accessor: randomText(24),
        ttl: ttlMs / 1000,
        creation_time: new Date(created).toISOString(),
        creation_path: path,
        wrapped_accessor: body.auth?.accessor ?? '',
      },
    })
  }

  #findWrapped(token: unknown, now: number): Wrapped {
    const found = this.#wrapped.get(String(token ?? ''))
    if (found !== undefined && found.created + found.ttlMs > now) return found
    throw new Refusal(400, ['wrapping token is not valid or does not exist'])
  }

  #wrappedBy({ body, headers }: SimulatedRequest, now: number): SimulatedAnswer {
    const { path, created, ttlMs } = this.#findWrapped(body['token'] ?? headers['x-vault-token'], now)
    const data = { creation_path: path, creation_time: new Date(created).toISOString(), creation_ttl: ttlMs / 1000 }
    return envelope({ data })
  }

  #unwrap({ body, headers }: SimulatedRequest, now: number): SimulatedAnswer {
    const token = body['token'] ?? headers['x-vault-token']
    if (token === undefined) throw new Refusal(403, ['error validating wrapping token: token is empty'])
    const { answer } = this.#findWrapped(token, now)
    this.#wrapped.delete(String(token))
    return answer
  }
}

function mountAt(
  namespace: SimulatedNamespace,
  path: string,
  body: { readonly [name: string]: unknown },
  method: string,
  types: readonly string[],
): SimulatedAnswer {
  if (method === 'DELETE') {
    namespace.mounts.delete(path)
    return DONE
  }
  const type = String(body['type'])
  if (!types.includes(type)) throw new Refusal(400, [`plugin not found in the catalog: ${type}`])
  if (namespace.mounts.has(path)) throw new Refusal(400, [`path is already in use at ${path.replace('auth/', '')}/`])
  const mount: Mount = { type, shelves: new Map() }
  namespace.mounts.set(path, mount)
  return DONE
}

function bearerOf(header: string | undefined): string | undefined {
  return header?.startsWith('Bearer ') === true ? header.slice('Bearer '.length) : undefined
}
