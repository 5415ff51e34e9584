import { expect } from 'vitest'
import type { World } from './worlds.ts'

const ENVELOPE = ['auth', 'data', 'lease_duration', 'lease_id', 'renewable', 'request_id', 'warnings', 'wrap_info']

/** A raw exchange that both servers must answer alike. */
export interface Exchange {
  readonly name: string
  run(world: World): Promise<void>
}

async function refused(
  world: World,
  status: number,
  errors: readonly string[],
  ...[method, path, options]: Parameters<World['raw']>
): Promise<void> {
  const answer = await world.raw(method, path, options)
  expect([answer.status, answer.body]).toEqual([status, { errors }])
}

const DENIED_BY_POLICY = '1 error occurred:\n\t* permission denied\n\n'

/** What is said on the wire, word for word: what the manager's decisions rest on. */
export const EXCHANGES: readonly Exchange[] = [
  {
    name: 'tokens: create, look up, renew, revoke',
    async run(world) {
      const made = await world.raw('POST', 'auth/token/create', { body: { ttl: '1h', policies: ['default'] } })
      expect(Object.keys(made.body).sort()).toEqual(ENVELOPE)
      expect(made.body.auth).toMatchObject({
        policies: ['default'],
        token_policies: ['default'],
        lease_duration: 3600,
        renewable: true,
        token_type: 'service',
        orphan: false,
        num_uses: 0,
        metadata: null,
      })
      const token = made.body.auth.client_token
      const found = await world.raw('GET', 'auth/token/lookup-self', { token })
      expect(Object.keys(found.body).sort()).toEqual(ENVELOPE)
      expect(found.body.data).toMatchObject({
        accessor: made.body.auth.accessor,
        creation_ttl: 3600,
        explicit_max_ttl: 0,
        id: token,
        num_uses: 0,
        orphan: false,
        path: 'auth/token/create',
        policies: ['default'],
        renewable: true,
        type: 'service',
      })
      expect([3599, 3600]).toContain(found.body.data.ttl)
      expect(Object.keys(found.body.data)).not.toContain('period')
      const renew = async (body: object): Promise<number> =>
        (await world.raw('POST', 'auth/token/renew-self', { token, body })).body.auth.lease_duration
      expect(await renew({ increment: '2h' })).toBe(7200)
      expect(await renew({ increment: 60 })).toBe(60)
      // What was granted last is the default from then on.
      expect(await renew({})).toBe(60)
      expect(await renew({ increment: '100' })).toBe(100)
      const field = 'Field validation failed: error converting input for field "increment": '
      const at = ['POST', 'auth/token/renew-self'] as const
      await refused(world, 400, [`${field}time: invalid duration "xx"`], ...at, { token, body: { increment: 'xx' } })
      await refused(world, 400, [`${field}cannot provide negative value '-5'`], ...at, {
        token,
        body: { increment: -5 },
      })
      expect((await world.raw('POST', 'auth/token/revoke-self', { token })).status).toBe(204)
      await refused(world, 403, ['permission denied'], 'GET', 'auth/token/lookup-self', { token })
    },
  },
  {
    name: 'tokens: what is refused',
    async run(world) {
      await refused(world, 403, ['permission denied'], 'GET', 'auth/token/lookup-self', { token: 'nope' })
      await refused(world, 403, ['permission denied'], 'GET', 'auth/token/lookup-self', { token: '' })
      await refused(world, 400, ['lease is not renewable'], 'POST', 'auth/token/renew-self', { body: {} })
      await refused(world, 403, ['bad token'], 'POST', 'auth/token/lookup', { body: { token: 's.zzz' } })
      const missing = '1 error occurred:\n\t* missing accessor\n\n'
      const invalid = '1 error occurred:\n\t* invalid accessor\n\n'
      await refused(world, 400, [missing], 'POST', 'auth/token/lookup-accessor', { body: {} })
      await refused(world, 400, [invalid], 'POST', 'auth/token/lookup-accessor', { body: { accessor: 'zz' } })
      await refused(world, 404, ['1 error occurred:\n\t* unsupported path\n\n'], 'GET', 'auth/token/nope')
      await refused(
        world,
        405,
        ['1 error occurred:\n\t* unsupported operation\n\n'],
        'DELETE',
        'auth/token/lookup-self',
      )
      const nowhere = 'no handler for route "nope/foo". route entry not found.'
      await refused(world, 404, [nowhere], 'GET', 'nope/foo')
      const { token } = await world.token({ ttl: '1h' })
      await refused(world, 403, [DENIED_BY_POLICY], 'GET', 'secret/data/foo', { token })
      await refused(world, 403, [DENIED_BY_POLICY], 'POST', 'auth/token/create', { token, body: {} })
      await refused(world, 400, ['unknown role nope'], 'POST', 'auth/token/create/nope', { body: { ttl: '30s' } })
      const bearer = await world.raw('GET', 'auth/token/lookup-self', {
        token: '',
        headers: { Authorization: `Bearer ${world.rootToken}` },
      })
      expect(bearer.status).toBe(200)
    },
  },
  {
    name: 'a root token that was made: no end, not renewable',
    async run(world) {
      const { data } = (await world.raw('GET', 'auth/token/lookup-self')).body
      expect(data).toMatchObject({ creation_ttl: 0, expire_time: null, renewable: false, ttl: 0, policies: ['root'] })
      expect(data).toHaveProperty('issue_time')
    },
  },
  {
    name: 'batch tokens',
    async run(world) {
      const made = await world.raw('POST', 'auth/token/create', {
        body: { ttl: '8s', type: 'batch', policies: ['default'] },
      })
      expect(made.body.auth).toMatchObject({ accessor: '', renewable: false, token_type: 'batch', lease_duration: 8 })
      const token = made.body.auth.client_token
      const { data } = (await world.raw('GET', 'auth/token/lookup-self', { token })).body
      expect(data).toMatchObject({ accessor: '', renewable: false, type: 'batch' })
      const self = (path: string) => ['POST', `auth/token/${path}`, { token, body: {} }] as const
      await refused(world, 400, ['batch tokens cannot be renewed'], ...self('renew-self'))
      await refused(world, 400, ['batch tokens cannot be revoked'], ...self('revoke-self'))
      const body = { type: 'batch', num_uses: 3, ttl: '8s' }
      await refused(world, 400, ['batch tokens cannot have "num_uses" set'], 'POST', 'auth/token/create', { body })
      const periodic = { type: 'batch', period: '3s' }
      await refused(world, 400, ['batch tokens cannot have "period" set'], 'POST', 'auth/token/create', {
        body: periodic,
      })
    },
  },
  {
    name: 'limited uses are counted by every request',
    async run(world) {
      const { token } = await world.token({ ttl: '1h', num_uses: 3 })
      const look = () => world.raw('GET', 'auth/token/lookup-self', { token })
      expect((await look()).body.data.num_uses).toBe(2)
      const renewed = await world.raw('POST', 'auth/token/renew-self', { token, body: { increment: 3600 } })
      expect(renewed.body.auth.num_uses).toBe(3)
      expect((await look()).body.data.num_uses).toBe(-1)
      await refused(world, 403, ['permission denied'], 'GET', 'auth/token/lookup-self', { token })
      const parent = await world.raw('POST', 'auth/token/create', { body: { num_uses: 5, policies: ['root'] } })
      expect(parent.body.auth).toMatchObject({ lease_duration: 0, renewable: false, num_uses: 5 })
      const text = 'restricted use token cannot generate child tokens'
      const options = { token: parent.body.auth.client_token, body: {} }
      await refused(world, 400, [text], 'POST', 'auth/token/create', options)
    },
  },
  {
    name: 'periods and maxima',
    async run(world) {
      const periodic = (await world.token({ period: '6s' })).token
      const found = (await world.raw('GET', 'auth/token/lookup-self', { token: periodic })).body.data
      expect(found).toMatchObject({ period: 6, creation_ttl: 6, renewable: true })
      const body = { increment: 3600 }
      const renewed = await world.raw('POST', 'auth/token/renew-self', { token: periodic, body })
      expect([renewed.body.auth.lease_duration, renewed.body.warnings]).toEqual([6, null])
      const { token } = await world.token({ ttl: '5s', explicit_max_ttl: '12s' })
      expect((await world.raw('GET', 'auth/token/lookup-self', { token })).body.data.explicit_max_ttl).toBe(12)
      const capped = await world.raw('POST', 'auth/token/renew-self', { token, body })
      expect([12, 11]).toContain(capped.body.auth.lease_duration)
      expect(capped.body.warnings[0]).toMatch(
        /^TTL of "1h" exceeded the effective max_ttl of "1[12][.\d]*s"; TTL value is/,
      )
      const plain = await world.raw('POST', 'auth/token/create', { body: { policies: ['default'] } })
      expect(plain.body.auth.lease_duration).toBe(768 * 3600)
    },
  },
  {
    name: 'a token without the policy to renew itself, and roles that are gone',
    async run(world) {
      const policy = `only-${world.unique}`
      const text = 'path "auth/token/lookup-self" { capabilities = ["read"] }'
      await world.raw('PUT', `sys/policies/acl/${policy}`, { body: { policy: text } })
      const { token } = await world.token({ ttl: '60s', policies: [policy], no_default_policy: true })
      await refused(world, 403, [DENIED_BY_POLICY], 'POST', 'auth/token/renew-self', { token, body: {} })
      expect((await world.raw('GET', 'auth/token/lookup-self', { token })).status).toBe(200)
      const role = `role-${world.unique}`
      const settings = { allowed_policies: ['default'], token_explicit_max_ttl: '60s', renewable: true }
      await world.raw('POST', `auth/token/roles/${role}`, { body: settings })
      const made = await world.raw('POST', `auth/token/create/${role}`, { body: { ttl: '30s' } })
      const of = made.body.auth.client_token
      expect((await world.raw('GET', 'auth/token/lookup-self', { token: of })).body.data).toMatchObject({ role })
      await world.raw('DELETE', `auth/token/roles/${role}`)
      const gone = `1 error occurred:\n\t* failed to renew entry: original token role "${role}" could not be found, not renewing\n\n`
      await refused(world, 500, [gone], 'POST', 'auth/token/renew-self', { token: of, body: { increment: 30 } })
    },
  },
  {
    name: 'accessors',
    async run(world) {
      const { token, accessor } = await world.token({ ttl: '1h' })
      const found = await world.raw('POST', 'auth/token/lookup-accessor', { body: { accessor } })
      expect(found.body.data).toMatchObject({ accessor, id: '' })
      const renewed = await world.raw('POST', 'auth/token/renew-accessor', { body: { accessor } })
      expect(renewed.body.auth).toMatchObject({ client_token: '', accessor })
      expect((await world.raw('POST', 'auth/token/revoke-accessor', { body: { accessor } })).status).toBe(204)
      const again = await world.raw('POST', 'auth/token/revoke-accessor', { body: { accessor } })
      expect([again.status, again.body.warnings]).toEqual([200, ['No token found with this accessor']])
      await refused(world, 403, ['permission denied'], 'POST', 'auth/token/renew-self', { token, body: {} })
    },
  },
  {
    name: 'AppRole',
    async run(world) {
      const mount = `approle-${world.unique}`
      expect((await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'approle' } })).status).toBe(204)
      const twice = await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'approle' } })
      expect([twice.status, twice.body.errors]).toEqual([400, [`path is already in use at ${mount}/`]])
      const settings = { token_ttl: '4s', token_max_ttl: '10s', token_policies: 'default', secret_id_num_uses: 2 }
      await world.raw('POST', `auth/${mount}/role/app`, { body: settings })
      const { role_id } = (await world.raw('GET', `auth/${mount}/role/app/role-id`)).body.data
      const secret = await world.raw('POST', `auth/${mount}/role/app/secret-id`, { body: {} })
      expect(secret.body.data).toMatchObject({ secret_id_num_uses: 2, secret_id_ttl: 0 })
      const { secret_id } = secret.body.data
      const login = (body: object) => world.raw('POST', `auth/${mount}/login`, { token: '', body })
      const entered = await login({ role_id, secret_id })
      expect(entered.body.auth).toMatchObject({
        lease_duration: 4,
        renewable: true,
        orphan: true,
        metadata: { role_name: 'app' },
      })
      const { client_token: token } = entered.body.auth
      const found = (await world.raw('GET', 'auth/token/lookup-self', { token })).body.data
      expect(found).toMatchObject({ path: `auth/${mount}/login`, creation_ttl: 4, meta: { role_name: 'app' } })
      const at = ['POST', `auth/${mount}/login`] as const
      await refused(world, 400, ['invalid role or secret ID'], ...at, { token: '', body: { role_id, secret_id: 'zz' } })
      await refused(world, 400, ['invalid role or secret ID'], ...at, { token: '', body: { role_id: 'zz', secret_id } })
      await refused(world, 400, ['missing secret_id'], ...at, { token: '', body: { role_id } })
      await refused(world, 500, ['missing role_id'], ...at, { token: '', body: {} })
      // A login doesn't look at the token that comes with it.
      expect((await world.raw(...at, { token: 'nope', body: { role_id, secret_id } })).status).toBe(200)
      await refused(world, 400, ['invalid role or secret ID'], ...at, { token: '', body: { role_id, secret_id } })
      await world.raw('DELETE', `auth/${mount}/role/app`)
      const gone = '1 error occurred:\n\t* failed to renew entry: role "app" does not exist during renewal\n\n'
      await refused(world, 500, [gone], 'POST', 'auth/token/renew-self', { token, body: { increment: 4 } })
      await refused(world, 403, ['permission denied'], 'POST', `auth/none-${world.unique}/login`, {
        token: '',
        body: {},
      })
    },
  },
  {
    name: 'AppRole: a secret_id with a time of its own',
    async run(world) {
      const mount = `approle-${world.unique}`
      await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'approle' } })
      await world.raw('POST', `auth/${mount}/role/app`, { body: { token_ttl: '60s', secret_id_ttl: '3s' } })
      const { role_id } = (await world.raw('GET', `auth/${mount}/role/app/role-id`)).body.data
      const { data } = (await world.raw('POST', `auth/${mount}/role/app/secret-id`, { body: {} })).body
      expect(data.secret_id_ttl).toBe(3)
      const at = ['POST', `auth/${mount}/login`] as const
      const body = { role_id, secret_id: data.secret_id }
      expect((await world.raw(...at, { token: '', body })).status).toBe(200)
      await world.pass(3500)
      await refused(world, 400, ['invalid role or secret ID'], ...at, { token: '', body })
    },
  },
  {
    name: 'userpass',
    async run(world) {
      const mount = `userpass-${world.unique}`
      await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'userpass' } })
      const body = { password: 'pass-1234', token_ttl: '30s', token_policies: ['default'] }
      await world.raw('POST', `auth/${mount}/users/bob`, { body })
      const at = ['POST', `auth/${mount}/login/bob`] as const
      const entered = await world.raw(...at, { token: '', body: { password: 'pass-1234' } })
      expect(entered.body.auth).toMatchObject({ lease_duration: 30, metadata: { username: 'bob' } })
      const wrong = 'invalid username or password'
      await refused(world, 400, [wrong], ...at, { token: '', body: { password: 'x' } })
      await refused(world, 400, [wrong], 'POST', `auth/${mount}/login/eve`, { token: '', body: { password: 'x' } })
      // Names are the same in any letters.
      await world.raw('POST', `auth/${mount}/users/Alice`, { body })
      for (const name of ['alice', 'ALICE']) {
        const found = await world.raw('POST', `auth/${mount}/login/${name}`, { token: '', body })
        expect(found.body.auth).toMatchObject({ metadata: { username: 'alice' } })
      }
      expect((await world.raw('GET', `auth/${mount}/users/aLICE`)).status).toBe(200)
    },
  },
  {
    name: 'KV version 2 with check-and-set',
    async run(world) {
      const path = `secret/data/wire-${world.unique}`
      const write = (cas: number) => world.raw('POST', path, { body: { options: { cas }, data: { x: cas } } })
      await refused(world, 404, [], 'GET', path)
      expect((await write(0)).body.data).toMatchObject({ version: 1, destroyed: false, deletion_time: '' })
      const lost = await write(0)
      expect([lost.status, lost.body.errors]).toEqual([
        400,
        ['check-and-set parameter did not match the current version'],
      ])
      expect((await write(1)).body.data.version).toBe(2)
      expect((await world.raw('GET', path)).body.data).toMatchObject({ data: { x: 1 }, metadata: { version: 2 } })
      expect((await world.raw('GET', `${path}?version=1`)).body.data.data).toEqual({ x: 0 })
      expect((await world.raw('DELETE', path)).status).toBe(204)
      const deleted = await world.raw('GET', path)
      expect(deleted.status).toBe(404)
      expect(deleted.body.data).toMatchObject({ data: null, metadata: { version: 2 } })
      expect((await write(2)).body.data.version).toBe(3)
      await refused(world, 400, ['no data provided'], 'POST', path, { body: { x: 2 } })
    },
  },
  {
    name: 'cubbyholes',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      await refused(world, 404, [], 'GET', 'cubbyhole/a', { token })
      expect((await world.raw('POST', 'cubbyhole/a', { token, body: { x: 1 } })).status).toBe(204)
      expect((await world.raw('GET', 'cubbyhole/a', { token })).body.data).toEqual({ x: 1 })
      await refused(world, 404, [], 'GET', 'cubbyhole/a')
      expect((await world.raw('DELETE', 'cubbyhole/a', { token })).status).toBe(204)
    },
  },
  {
    name: 'response wrapping',
    async run(world) {
      const wrap = () =>
        world.raw('POST', 'auth/token/create', {
          body: { ttl: '60s', policies: ['default'] },
          headers: { 'X-Vault-Wrap-TTL': '60s' },
        })
      const { wrap_info: info, auth } = (await wrap()).body
      expect(auth).toBeNull()
      expect(info).toMatchObject({ ttl: 60, creation_path: 'auth/token/create' })
      const looked = await world.raw('POST', 'sys/wrapping/lookup', { token: '', body: { token: info.token } })
      expect(looked.body.data).toMatchObject({ creation_path: 'auth/token/create', creation_ttl: 60 })
      const unwrapped = await world.raw('POST', 'sys/wrapping/unwrap', { token: info.token })
      expect(unwrapped.body.auth).toMatchObject({ lease_duration: 60, accessor: info.wrapped_accessor })
      const used = 'wrapping token is not valid or does not exist'
      await refused(world, 400, [used], 'POST', 'sys/wrapping/unwrap', { token: info.token })
      await refused(world, 400, [used], 'POST', 'sys/wrapping/lookup', { token: '', body: { token: info.token } })
      // A look-up uses a wrapping token up.
      const { token } = (await wrap()).body.wrap_info
      await refused(world, 403, [DENIED_BY_POLICY], 'GET', 'auth/token/lookup-self', { token })
      await refused(world, 400, [used], 'POST', 'sys/wrapping/unwrap', { token })
    },
  },
  {
    name: 'leases: one that can’t be renewed, and what is refused',
    async run(world) {
      const mount = `pki-${world.unique}`
      await world.raw('POST', `sys/mounts/${mount}`, { body: { type: 'pki' } })
      await world.raw('POST', `${mount}/root/generate/internal`, {
        body: { common_name: 'x.example', ttl: '24h', key_type: 'ec', key_bits: 256 },
      })
      const role = { allow_any_name: true, generate_lease: true, ttl: '60s', key_type: 'ec', key_bits: 256 }
      await world.raw('POST', `${mount}/roles/r`, { body: role })
      const made = await world.raw('POST', `${mount}/issue/r`, { body: { common_name: 'a.b' } })
      expect(made.body.renewable).toBe(false)
      expect([59, 60]).toContain(made.body.lease_duration)
      expect(made.body.lease_id.startsWith(`${mount}/issue/r/`)).toBe(true)
      const body = { lease_id: made.body.lease_id, increment: 20 }
      await refused(world, 400, ['lease is not renewable'], 'PUT', 'sys/leases/renew', { body })
      await refused(world, 400, ['lease not found'], 'PUT', 'sys/leases/renew', { body: { lease_id: 'a/b' } })
      await refused(world, 400, ['lease_id must be specified'], 'PUT', 'sys/leases/renew', { body: {} })
      await refused(world, 400, ['invalid lease'], 'PUT', 'sys/leases/lookup', { body: { lease_id: 'a/b' } })
      expect((await world.raw('PUT', 'sys/leases/revoke', { body: { lease_id: 'a/b' } })).status).toBe(204)
    },
  },
  {
    name: 'what hangs on a token ends with its time: children, batch tokens, leases',
    async run(world) {
      const mount = `pki-${world.unique}`
      await world.raw('POST', `sys/mounts/${mount}`, { body: { type: 'pki' } })
      await world.raw('POST', `${mount}/root/generate/internal`, {
        body: { common_name: 'x.example', ttl: '24h', key_type: 'ec', key_bits: 256 },
      })
      const role = { allow_any_name: true, generate_lease: true, ttl: '1h', key_type: 'ec', key_bits: 256 }
      await world.raw('POST', `${mount}/roles/r`, { body: role })
      const parent = (await world.raw('POST', 'auth/token/create', { body: { ttl: '3s', policies: ['root'] } })).body
      const token: string = parent.auth.client_token
      const made = async (body: object): Promise<string> =>
        (await world.raw('POST', 'auth/token/create', { token, body: { ttl: '1h', policies: ['default'], ...body } }))
          .body.auth.client_token
      const [child, batch, orphan] = [await made({}), await made({ type: 'batch' }), await made({ no_parent: true })]
      const issued = await world.raw('POST', `${mount}/issue/r`, { token, body: { common_name: 'a.b' } })
      const lease = { body: { lease_id: issued.body.lease_id } }
      expect((await world.raw('PUT', 'sys/leases/lookup', lease)).status).toBe(200)
      const looked = async (of: string) => (await world.raw('GET', 'auth/token/lookup-self', { token: of })).status
      expect([await looked(child), await looked(batch), await looked(orphan)]).toEqual([200, 200, 200])
      await world.pass(4500)
      expect([await looked(child), await looked(batch), await looked(orphan)]).toEqual([403, 403, 200])
      await refused(world, 400, ['invalid lease'], 'PUT', 'sys/leases/lookup', lease)
    },
  },
  {
    name: 'a list, by its method and by a query',
    async run(world) {
      const folder = `wire-${world.unique}`
      await world.raw('POST', `secret/data/${folder}/a`, { body: { data: { x: 1 } } })
      await world.raw('POST', `secret/data/${folder}/b/c`, { body: { data: { x: 1 } } })
      for (const [method, query] of [
        ['LIST', ''],
        ['GET', '?list=1'],
        ['GET', '?list=true'],
      ] as const) {
        const { status, body } = await world.raw(method, `secret/metadata/${folder}${query}`)
        expect([status, body.data]).toEqual([200, { keys: ['a', 'b/'] }])
      }
      await refused(world, 404, [], 'GET', `secret/metadata/${folder}/none?list=1`)
    },
  },
  {
    name: 'namespaces',
    async run(world) {
      const name = `team-${world.unique}`
      const made = await world.raw('POST', `sys/namespaces/${name}`, { body: {} })
      expect(made.body.data).toMatchObject({ path: `${name}/`, locked: false })
      const headers = { 'X-Vault-Namespace': name }
      const created = await world.raw('POST', 'auth/token/create', {
        body: { ttl: '60s', policies: ['default'] },
        headers,
      })
      const token = created.body.auth.client_token
      expect(token.endsWith(`.${made.body.data.id}`)).toBe(true)
      // What is about the token goes to its own namespace, named or not.
      for (const sent of [headers, {}]) {
        const found = await world.raw('GET', 'auth/token/lookup-self', { token, headers: sent })
        expect(found.body.data).toMatchObject({ namespace_path: `${name}/` })
      }
      const options = { headers: { 'X-Vault-Namespace': 'zz' } }
      await refused(world, 404, ['namespace not found'], 'GET', 'auth/token/lookup-self', options)
      expect(
        (await world.raw('GET', 'auth/token/lookup-self', { headers: { 'X-Vault-Namespace': 'root' } })).status,
      ).toBe(200)
      const health = ['operation unavailable in namespaces']
      await refused(world, 400, health, 'GET', 'sys/health', { token: '', headers: { 'X-Vault-Namespace': 'root' } })
    },
  },
  {
    name: 'health',
    async run(world) {
      const { status, body } = await world.raw('GET', 'sys/health', { token: '' })
      expect(status).toBe(200)
      expect(body).toMatchObject({ initialized: true, sealed: false, standby: false, version: '2.7.2' })
      expect(Math.abs(body.server_time_utc - world.clock.now() / 1000)).toBeLessThan(5)
      expect((await world.raw('GET', 'sys/health?activecode=299', { token: '' })).status).toBe(299)
    },
  },
]

/** Exchanges that change the whole server. */
export const SERVER_EXCHANGES: readonly Exchange[] = [
  {
    name: 'seal and unseal',
    async run(world) {
      const { token } = await world.token({ ttl: '1h' })
      await world.seal()
      const sealed = ['Vault is sealed']
      await refused(world, 503, sealed, 'GET', 'auth/token/lookup-self', { token })
      await refused(world, 503, sealed, 'POST', 'auth/token/renew-self', { token, body: {} })
      const health = await world.raw('GET', 'sys/health', { token: '' })
      expect([health.status, health.body.sealed, health.body.standby]).toEqual([503, true, true])
      expect((await world.raw('GET', 'sys/seal-status', { token: '' })).body).toMatchObject({ sealed: true, t: 1 })
      expect((await world.raw('PUT', 'sys/unseal', { token: '', body: { key: 'AAAA' } })).status).toBe(400)
      await world.unseal()
      expect((await world.raw('GET', 'auth/token/lookup-self', { token })).status).toBe(200)
    },
  },
  {
    name: 'quotas, with and without Retry-After',
    async run(world) {
      const mount = `userpass-${world.unique}`
      await world.raw('POST', `sys/auth/${mount}`, { body: { type: 'userpass' } })
      await world.raw('POST', `sys/quotas/config`, { body: { enable_rate_limit_response_headers: true } })
      const quota = { path: `auth/${mount}/`, rate: 1, interval: '60s' }
      await world.raw('POST', 'sys/quotas/rate-limit/q', { body: quota })
      const login = () => world.raw('POST', `auth/${mount}/login/bob`, { token: '', body: { password: 'x' } })
      expect((await login()).status).toBe(400)
      const limited = await login()
      expect([limited.status, limited.body.errors]).toEqual([
        429,
        [`request path "auth/${mount}/login/bob": rate limit quota exceeded`],
      ])
      expect(limited.headers.get('retry-after')).toMatch(/^\d+$/)
      await world.raw('POST', `sys/quotas/config`, { body: { enable_rate_limit_response_headers: false } })
      const silent = await login()
      expect([silent.status, silent.headers.get('retry-after')]).toEqual([429, null])
      await world.raw('DELETE', 'sys/quotas/rate-limit/q')
      expect((await login()).status).toBe(400)
    },
  },
]
