import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { describe, expect, it } from 'vitest'
import { generateSecret, MemoryTokenStore, Tokenwright } from '../../src/index.ts'
import { fakeClock, VaultSimulator } from '../../src/testing/index.ts'
import {
  createVaultClient,
  getTokenManager,
  publishToVaultKv,
  startTokenManager,
  stopTokenManager,
  VaultTokenManager,
  vaultRenewAction,
} from '../../src/vault/index.ts'
import { bench, LOOKUP, RENEW } from './fixture.ts'

async function world() {
  const clock = fakeClock()
  const simulator = new VaultSimulator({ clock })
  // biome-ignore lint/suspicious/noExplicitAny: answers of the simulator
  const call = (...given: Parameters<typeof simulator.call>): Promise<any> => simulator.call(...given)
  const made = await call('POST', 'auth/token/create', { ttl: '1h', policies: ['default'] })
  const vault = await createVaultClient({
    endpoint: simulator.endpoint,
    token: made.auth.client_token,
    fetch: simulator.fetch,
    clock,
  })
  return { clock, simulator, call, vault }
}

describe('beside the rest of the library', () => {
  it('as the action vault.renew of a rule, a health source, and on the shared emitter', async () => {
    const { clock, vault, simulator } = await world()
    const tokens = new Tokenwright({ store: new MemoryTokenStore({ clock }), keys: generateSecret(), clock })
    const heard: string[] = []
    tokens.events.onAny((name) => {
      if (name.startsWith('vault.')) heard.push(name)
    })
    const manager = new VaultTokenManager({ client: vault, clock, events: tokens.events })
    await manager.start()
    tokens.healthSource('vault', () => manager.health())
    expect((await tokens.health()).sources['vault']).toEqual({ status: 'healthy', reasons: [] })

    tokens.rules.action('vault.renew', vaultRenewAction(manager))
    await tokens.rules.create({ name: 'vault', action: 'vault.renew', schedule: { every: '10m' } })
    for (let i = 0; i < 3; i++) {
      await clock.advance('10m')
      await tokens.tick()
    }
    const { items } = await tokens.rules.runs('vault')
    expect(items.map(({ outcome, counts }) => [outcome, counts])).toEqual(
      Array.from({ length: 3 }, () => ['ok', { renewed: 1, extended: 1 }]),
    )
    expect(simulator.count(RENEW)).toBe(3)
    expect(heard).toEqual(['vault.started', 'vault.renewed', 'vault.renewed', 'vault.renewed'])

    simulator.setDown(true)
    await clock.advance('59m')
    expect((await tokens.health()).sources['vault']).toMatchObject({ status: 'unhealthy' })
    await manager.stop()
    expect(heard.at(-1)).toBe('vault.stopped')
    await tokens.close()
  })

  it('a callback that throws is told on the shared emitter too', async () => {
    const { clock, vault } = await world()
    const tokens = new Tokenwright({ store: new MemoryTokenStore({ clock }), keys: generateSecret(), clock })
    const failed: string[] = []
    tokens.events.on('listenerError', ({ event }) => failed.push(event))
    const onRenewal = async () => {
      throw new Error('mine')
    }
    const manager = new VaultTokenManager({ client: vault, clock, events: tokens.events, onRenewal })
    await manager.start()
    await manager.forceRenewal()
    await clock.advance('1s')
    expect(failed).toEqual(['vault.onRenewal'])
    await manager.stop()
    await tokens.close()
  })

  it('a root token makes a skipped run', async () => {
    const { manage, simulator, clock } = bench()
    const { manager } = await manage(simulator.rootToken)
    await manager.start()
    const signal = new AbortController().signal
    const context = { signal } as Parameters<ReturnType<typeof vaultRenewAction>['run']>[0]
    expect(await vaultRenewAction(manager).run(context)).toEqual({ outcome: 'skipped', reason: 'non_expiring' })
    await manager.stop()
    expect(clock.pending()).toBe(0)
  })
})

describe('publishToVaultKv', () => {
  it('brings a rotated value to KV by check-and-set, through a manager that replaces a dead token', async () => {
    const { clock, call, simulator } = await world()
    const vault = await createVaultClient({ endpoint: simulator.endpoint, fetch: simulator.fetch, clock })
    await call('PUT', 'sys/policies/acl/kv', {
      policy: 'path "secret/data/apps/*" { capabilities = ["read", "create", "update"] }',
    })
    const login = async () =>
      (await call('POST', 'auth/token/create', { ttl: '1h', policies: ['default', 'kv'] })).auth.client_token
    const manager = new VaultTokenManager({ client: vault, clock, login })
    await manager.start()
    const tokens = new Tokenwright({
      store: new MemoryTokenStore({ clock }),
      keys: generateSecret(),
      clock,
      rotation: {
        hooks: {
          SHOP: { publish: publishToVaultKv({ vault: manager, path: ({ service }) => `apps/${service}`, key: 'API' }) },
        },
      },
    })
    await call('POST', 'secret/data/apps/SHOP', { data: { OTHER: 'kept' } })
    await tokens.generate({ service: 'SHOP' })
    await call('POST', 'auth/token/revoke', { token: vault.token })
    const { token, rotation } = await tokens.rotate('SHOP')
    expect(rotation.status).toBe('done')
    const found = (await call('GET', 'secret/data/apps/SHOP')).data
    expect(found).toMatchObject({ data: { OTHER: 'kept', API: token }, metadata: { version: 2 } })
    expect((await tokens.verify(found.data.API)).ok).toBe(true)
    await manager.stop()
    await tokens.close()
  })

  it('a lost check-and-set is unknown: the value is tried again over what stands now', async () => {
    const { call, vault, simulator } = await world()
    vault.token = simulator.rootToken
    let meddle = true
    const meddling = {
      token: vault.token,
      read: async (path: string) => {
        const body = await vault.read(path)
        // Somebody else writes between our read and our write.
        if (meddle) await call('POST', 'secret/data/a', { data: { other: 'new' } })
        meddle = false
        return body
      },
      write: (path: string, data: unknown) => vault.write(path, data),
    }
    await call('POST', 'secret/data/a', { data: { other: 'old' } })
    const publish = publishToVaultKv({ vault: meddling, path: 'a' })
    const context = { token: 'the-new-value', signal: new AbortController().signal } as Parameters<typeof publish>[0]
    expect(await publish(context)).toBe('unknown')
    expect(await publish(context)).toBe('ok')
    expect((await call('GET', 'secret/data/a')).data.data).toEqual({ other: 'new', token: 'the-new-value' })
    simulator.fault({ kind: 'answer', status: 400, errors: ['no: the-new-value-2'], path: 'secret' })
    const failing = publish({ ...context, token: 'the-new-value-2' })
    await expect(failing).rejects.toMatchObject({ operation: 'write', kind: 'config' })
    await expect(failing).rejects.not.toThrow('the-new-value-2')
  })
})

describe('publishToVaultKv, with a manager that isn’t started', () => {
  it('says so, and isn’t taken for the network’s failure', async () => {
    const { vault } = await world()
    const publish = publishToVaultKv({ vault: new VaultTokenManager({ client: vault }), path: 'a' })
    const context = { token: 'value', signal: new AbortController().signal } as Parameters<typeof publish>[0]
    await expect(publish(context)).rejects.toMatchObject({ code: 'ERR_VAULT_STATE' })
  })
})

describe('the process’s own manager', () => {
  it('can be stopped while it starts, at once', async () => {
    const { clock, vault, simulator } = await world()
    simulator.setDown(true)
    const starting = startTokenManager({ client: vault, clock }).catch((error: unknown) => error)
    await clock.advance('1s')
    await stopTokenManager()
    expect(await starting).toMatchObject({ code: 'ERR_VAULT_STATE' })
    expect(clock.pending()).toBe(0)
    expect(() => getTokenManager()).toThrow("isn't started")
  })

  it('is made of the environment, once; a failed start can be tried again', async () => {
    expect(() => getTokenManager()).toThrow('await startTokenManager() first')
    await expect(startTokenManager({ env: {} })).rejects.toThrow('VAULT_ADDR is not set')
    await expect(startTokenManager({ env: { VAULT_ADDR: 'http://127.0.0.1:1' } })).rejects.toThrow('VAULT_TOKEN is not')
    const simulator = new VaultSimulator()
    const address = await simulator.listen()
    const wrong = startTokenManager({ env: { VAULT_ADDR: address, VAULT_TOKEN: 'nope' } })
    await expect(wrong).rejects.toMatchObject({ kind: 'auth' })
    const env = { VAULT_ADDR: address, VAULT_TOKEN: simulator.rootToken, VAULT_NAMESPACE: '' }
    const [first, second] = await Promise.all([startTokenManager({ env }), startTokenManager()])
    expect(first).toBe(second)
    expect(getTokenManager()).toBe(first)
    expect(first.status().state).toBe('static')
    expect(simulator.count(LOOKUP)).toBe(2)
    await stopTokenManager()
    await stopTokenManager()
    expect(() => getTokenManager()).toThrow("isn't started")
    await simulator.close()
  })

  it('reads process.env without arguments', async () => {
    const simulator = new VaultSimulator()
    process.env['VAULT_ADDR'] = await simulator.listen()
    process.env['VAULT_TOKEN'] = simulator.rootToken
    try {
      expect((await startTokenManager()).status().running).toBe(true)
    } finally {
      delete process.env['VAULT_ADDR']
      delete process.env['VAULT_TOKEN']
      await stopTokenManager()
      await simulator.close()
    }
  })
})

it('a process that only has a manager can exit (stop, or not)', async () => {
  const simulator = new VaultSimulator()
  const address = await simulator.listen()
  const index = new URL('../../src/vault/index.ts', import.meta.url).href
  const code = `
    const { startTokenManager } = await import(${JSON.stringify(index)})
    await startTokenManager()
    console.log('started')`
  const made = (await simulator.call('POST', 'auth/token/create', { ttl: '1h' })) as { auth: { client_token: string } }
  const env = { ...process.env, VAULT_ADDR: address, VAULT_TOKEN: made.auth.client_token }
  const run = promisify(execFile)
  const { stdout } = await run(process.execPath, ['--input-type=module', '--eval', code], { env, timeout: 15_000 })
  expect(stdout).toBe('started\n')
  await simulator.close()
})
