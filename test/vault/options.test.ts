import { describe, expect, it } from 'vitest'
import {
  appRoleLogin,
  createVaultClient,
  jwtLogin,
  kubernetesLogin,
  publishToVaultKv,
  tokenFileLogin,
  userpassLogin,
  VaultTokenManager,
  type VaultTokenManagerOptions,
  wrappedTokenLogin,
} from '../../src/vault/index.ts'
import { bench } from './fixture.ts'

describe('options that make no sense are refused before any effect', () => {
  it.each([
    [{ checkInterval: -1 }, 'checkInterval is not a duration'],
    [{ checkInterval: 300 }, 'numbers are milliseconds; write "300s"'],
    [{ renewThreshold: 7200 * 0 }, 'renewThreshold is shorter than 1s'],
    [{ renewThreshold: 'soon' }, 'renewThreshold is not a duration'],
    [{ increment: 3 }, 'numbers are milliseconds; write "3s"'],
    [{ increment: Number.NaN }, 'increment is not a duration'],
    [{ warnBelow: -5 }, 'warnBelow'],
    [{ timeout: 0 }, 'timeout'],
    [{ startTimeout: '2d' }, 'startTimeout is longer'],
    [{ revokeOld: '2d' }, 'revokeOld is longer'],
    [{ login: {} }, 'login is no login'],
    [{ login: 'approle' }, 'login is no login'],
    [{ sinks: 'file' }, 'sinks is not a list'],
    [{ sinks: [{}] }, 'sinks[0].file'],
    [{ sinks: [{ file: 'a', mode: 0o1777 }] }, 'sinks[0].mode'],
    [{ sinks: [{ path: 'a' }] }, "unknown field 'path'"],
    [{ name: '' }, 'name is not a name'],
    [{ onRenewal: 5 }, 'onRenewal is not a function'],
    [{ events: {} }, 'events is no emitter'],
    [{ renewTreshold: '5s' }, "unknown field 'renewTreshold'"],
  ])('%j', async (options, message) => {
    const client = await createVaultClient({ endpoint: 'http://127.0.0.1:1', token: 'x' })
    const given = { client, ...options } as unknown as VaultTokenManagerOptions
    expect(() => new VaultTokenManager(given)).toThrow(message)
  })

  it('a token that is empty without a login, or no token at all', async () => {
    const client = await createVaultClient({ endpoint: 'http://127.0.0.1:1' })
    expect(() => new VaultTokenManager({ client })).toThrow('client.token is empty')
    expect(() => new VaultTokenManager({ client, login: () => 'x' })).not.toThrow()
    client.token = 'two words'
    expect(() => new VaultTokenManager({ client })).toThrow('look for white space')
    client.token = 7 as never
    expect(() => new VaultTokenManager({ client })).toThrow('client.token is not a token')
  })

  it.each([
    [() => appRoleLogin({} as never), 'login.roleId'],
    [() => appRoleLogin({ roleId: '' }), 'login.roleId'],
    [() => appRoleLogin({ roleId: 'a', wrapped: true }), 'needs a secretId'],
    [() => appRoleLogin({ roleId: 'a', mount: '../x' }), 'login.mount'],
    [() => appRoleLogin({ roleId: 'a', mount: '/approle/' }), 'login.mount'],
    [() => appRoleLogin({ roleId: 'a', secret_id: 'b' } as never), "unknown field 'secret_id'"],
    [() => jwtLogin({ role: '', jwt: 'x' }), 'login.role'],
    [() => kubernetesLogin({ role: 'a', jwtFile: '' }), 'login.jwtFile'],
    [() => userpassLogin({ username: 'a', password: 5 as never }), 'login.password'],
    [() => tokenFileLogin({ file: '' }), 'login.file'],
    [() => wrappedTokenLogin({ wrappingToken: '' }), 'login.wrappingToken'],
    [() => wrappedTokenLogin({ wrappingToken: 'a', creationPath: 5 as never }), 'login.creationPath'],
    [() => publishToVaultKv({ vault: {} as never, path: 'a' }), 'is not a Vault client'],
    [() => publishToVaultKv({ vault: {} as never, path: 'a/../b' }), 'path'],
    [() => publishToVaultKv({ vault: {} as never, path: 'a', key: '__proto__' }), 'key'],
  ])('%s', (make, message) => {
    expect(make).toThrow(message)
  })

  it('calls with nonsense', async () => {
    const { manage, token } = bench()
    const { manager } = await manage(await token())
    await expect(manager.forceRenewal()).rejects.toMatchObject({ code: 'ERR_VAULT_STATE' })
    await expect(manager.lookup()).rejects.toThrow("isn't running")
    await expect(manager.withToken(() => 1)).rejects.toThrow("isn't running")
    expect(() => manager.start({ mode: 'soon' as never })).toThrow("mode is neither 'await' nor 'background'")
    await manager.start()
    await expect(manager.forceRenewal({ increment: 500 })).rejects.toThrow('increment')
    await expect(manager.forceRenewal({ incremnt: '1h' } as never)).rejects.toThrow('unknown field')
    expect(() => manager.lease('', { ttl: '1h' })).toThrow('leaseId')
    expect(() => manager.lease('a', { ttl: 500 })).toThrow('ttl')
    expect(() => manager.lease('a', { ttl: '1h', renewable: 'no' as never })).toThrow('renewable')
    await manager.stop()
  })

  it('a user name is encoded, and can’t lead elsewhere', async () => {
    const { client, simulator } = bench()
    const vault = await client()
    const manager = new VaultTokenManager({
      client: vault,
      login: userpassLogin({ username: "../../sys/a&b'c d", password: 'pw-12345' }),
      startTimeout: 0,
    })
    await expect(manager.start()).rejects.toMatchObject({ operation: 'login' })
    expect(simulator.calls.map(({ path }) => path)).toEqual(["auth/userpass/login/../../sys/a&b'c d"])
  })
})
