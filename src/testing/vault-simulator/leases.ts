import { DONE, envelope, listed, Refusal, type SimulatedAnswer } from './answer.ts'
import { randomText } from './identifiers.ts'
import { type Mount, shelfOf } from './namespaces.ts'
import type { RouteContext } from './routes.ts'
import { grant, secondsOf } from './time.ts'
import type { SimulatedToken } from './tokens.ts'

interface SimulatedLease {
  readonly id: string
  readonly path: string
  readonly token: SimulatedToken
  readonly renewable: boolean
  readonly issued: number
  readonly maxMs: number
  ttl: number
  expires: number
  lastRenewal: number | undefined
}

/** The leases of secrets. */
export class SimulatedLeases {
  readonly #leases = new Map<string, SimulatedLease>()

  /** How many live at a time. */
  count(now: number): number {
    return [...this.#leases.values()].filter(({ expires }) => expires > now).length
  }

  /** Ends those that hang on a token. */
  revokeOf(token: SimulatedToken): void {
    for (const [id, lease] of [...this.#leases]) if (lease.token === token) this.#leases.delete(id)
  }

  /** `database/creds/…` and `pki/issue/…`: secrets with a lease, the second not renewable. */
  secret(context: RouteContext, mount: Mount, at: string, rest: string): SimulatedAnswer {
    const { request, now } = context
    const [kind = '', name = '', more] = rest.split('/')
    const issues = mount.type === 'database' ? kind === 'creds' && request.method === 'GET' : kind === 'issue'
    const roles = shelfOf(mount, 'roles')
    if (!issues) {
      if (kind === 'roles' && name !== '' && more === undefined && request.method !== 'GET') {
        roles.set(name, request.body)
        return DONE
      }
      if (kind === 'config' || (mount.type === 'pki' && kind === 'root')) return DONE
      throw new Refusal(404, [listed('unsupported path')])
    }
    const role = roles.get(name)
    if (role === undefined) throw new Refusal(400, [`unknown role: ${name}`])
    const backendTtl = secondsOf(role['default_ttl'] ?? role['ttl']) * 1000
    const maxMs = secondsOf(role['max_ttl']) * 1000
    const base = { now, issued: now, increment: 0, period: 0, explicitMax: 0 }
    const { ttlMs } = grant({ ...base, backendTtl, backendMax: maxMs })
    const lease: SimulatedLease = {
      id: `${at}/${rest}/${randomText(24)}`,
      path: `${at}/${rest}`,
      token: context.token,
      renewable: mount.type === 'database',
      issued: now,
      maxMs,
      ttl: ttlMs,
      expires: now + ttlMs,
      lastRenewal: undefined,
    }
    this.#leases.set(lease.id, lease)
    return envelope({
      leaseId: lease.id,
      leaseSeconds: Math.floor(ttlMs / 1000),
      renewable: lease.renewable,
      data: { username: `v-token-${name}-${randomText(20)}`, password: randomText(20) },
    })
  }

  /** `sys/leases/…` */
  routes({ request, tokens, now }: RouteContext, rest: string): SimulatedAnswer {
    const id = request.body['lease_id']
    tokens.sweep()
    if (typeof id !== 'string' || id === '') throw new Refusal(400, ['lease_id must be specified'])
    const found = this.#leases.get(id)
    const lease = found !== undefined && found.expires > now ? found : undefined
    if (rest === 'revoke') {
      this.#leases.delete(id)
      return DONE
    }
    if (rest === 'renew') {
      if (lease === undefined) throw new Refusal(400, ['lease not found'])
      return this.#renew(lease, secondsOf(request.body['increment']) * 1000, now)
    }
    if (rest !== 'lookup') throw new Refusal(404, [listed('unsupported path')])
    if (lease === undefined) throw new Refusal(400, ['invalid lease'])
    const iso = (at: number | undefined): string | null => (at === undefined ? null : new Date(at).toISOString())
    return envelope({
      data: {
        expire_time: iso(lease.expires),
        id,
        issue_time: iso(lease.issued),
        last_renewal: iso(lease.lastRenewal),
        path: lease.path,
        renewable: lease.renewable,
        ttl: Math.floor((lease.expires - now) / 1000),
      },
    })
  }

  #renew(lease: SimulatedLease, increment: number, now: number): SimulatedAnswer {
    if (!lease.renewable) throw new Refusal(400, ['lease is not renewable'])
    const base = { now, issued: lease.issued, increment, period: 0, explicitMax: 0 }
    const { ttlMs, warnings } = grant({ ...base, backendTtl: lease.ttl, backendMax: lease.maxMs })
    lease.expires = now + ttlMs
    lease.ttl = ttlMs
    lease.lastRenewal = now
    return envelope({ leaseId: lease.id, leaseSeconds: Math.floor(ttlMs / 1000), renewable: true, warnings })
  }
}
