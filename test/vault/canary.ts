import { generateSecret, logTo, MemoryTokenStore, Secret, Tokenwright } from '../../src/index.ts'
import { fakeClock, VaultSimulator } from '../../src/testing/index.ts'
import {
  appRoleLogin,
  createVaultClient,
  fromNodeVault,
  jwtLogin,
  publishToVaultKv,
  userpassLogin,
  VaultTokenManager,
  type VaultTokenManagerOptions,
  wrappedTokenLogin,
} from '../../src/vault/index.ts'
import { RENEW } from './fixture.ts'

/** Where outputs go. */
interface Gathering {
  add(output: unknown): void
  attempt(call: () => unknown): Promise<void>
}

/** Lives on Vault tokens, well and badly, and gathers everything that comes out. Answers the texts that mustn't be in it. */
export async function liveVault(outputs: Gathering): Promise<string[]> {
  const clock = fakeClock()
  const simulator = new VaultSimulator({ clock, rootToken: 's.canaryrootcanaryrootcanary' })
  const secrets = [simulator.rootToken]
  // biome-ignore lint/suspicious/noExplicitAny: answers of the simulator
  const call = (method: string, path: string, body = {}): Promise<any> => simulator.call(method, path, body)
  const { endpoint, fetch } = simulator
  const tokens = new Tokenwright({ store: new MemoryTokenStore({ clock }), keys: generateSecret(), clock })
  const line = (fields: object, message: string) => outputs.add([fields, message])
  logTo(tokens.events, { debug: line, info: line, warn: line, error: line }, { level: 'debug' })
  tokens.events.onAny((name, payload) => outputs.add([name, payload]))

  await call('POST', 'sys/auth/approle', { type: 'approle' })
  await call('POST', 'auth/approle/role/app', { token_policies: ['default'], token_ttl: '60s', token_max_ttl: '3m' })
  await call('POST', 'sys/auth/userpass', { type: 'userpass' })
  await call('POST', 'auth/userpass/users/bob', { password: 'canary-password-0123456789', token_ttl: '1h' })
  const { role_id: roleId } = (await call('GET', 'auth/approle/role/app/role-id')).data
  const { secret_id: secretId } = (await call('POST', 'auth/approle/role/app/secret-id')).data
  const jwt = 'eyJhbGciOiJub25lIn0.eyJjYW5hcnkiOiJjYW5hcnktY2FuYXJ5LWNhbmFyeSJ9.c2lnbmF0dXJl'
  secrets.push(secretId, 'canary-password-0123456789', jwt)

  const managed = async (token: string | undefined, options: Omit<VaultTokenManagerOptions, 'client'>) => {
    if (token !== undefined) secrets.push(token)
    const client = await createVaultClient({ endpoint, token, fetch, clock })
    const sink = ({ token: text }: { token: string }) => void secrets.push(text)
    const onFailure = (error: unknown) => outputs.add(error)
    const manager = new VaultTokenManager({
      client,
      clock,
      events: tokens.events,
      sinks: [sink],
      onFailure,
      ...options,
    })
    manager.events.onAny((name, payload) => outputs.add([name, payload]))
    return { manager, client }
  }
  const look = async ({ manager }: { manager: VaultTokenManager }) => {
    for (const output of [manager, manager.status(), manager.health(), manager.metrics(), manager.events])
      outputs.add(output)
    await outputs.attempt(() => manager.lookup())
    await outputs.attempt(() => manager.forceRenewal())
    await outputs.attempt(() => manager.serverHealth())
  }

  const app = await managed(undefined, { login: appRoleLogin({ roleId, secretId: new Secret(secretId) }) })
  await outputs.attempt(() => app.manager.start())
  outputs.add(app.manager.lease('database/creds/a/b', { ttl: '10s' }))
  for (let i = 0; i < 4; i++) {
    await look(app)
    // A server that says what it was sent.
    simulator.fault({ kind: 'answer', status: 400, errors: [`echo ${app.client.token}`], path: RENEW })
    simulator.fault({ kind: 'answer', status: 400, errors: [`echo ${secretId}`], path: 'auth/approle' })
    simulator.fault({ kind: 'html', path: RENEW })
    await clock.advance('3m')
  }
  simulator.setDown(true)
  await clock.advance('5m')
  await look(app)
  simulator.setDown(false)
  await clock.advance('6m')
  await outputs.attempt(() => app.manager.withToken(() => app.client.read('secret/data/forbidden')))
  simulator.fault({ kind: 'answer', status: 400, errors: [`echo ${secretId}`], path: 'auth/approle' })
  await outputs.attempt(() => app.client.write(`auth/approle/login`, { role_id: 'x', secret_id: secretId }))
  await outputs.attempt(() => app.manager.stop({ revoke: true }))

  const wrapping = 's.canarywrappingcanarywrapping'
  secrets.push(wrapping)
  for (const login of [
    userpassLogin({ username: 'bob', password: 'canary-password-0123456789' }),
    userpassLogin({ username: 'eve', password: 'canary-password-0123456789' }),
    jwtLogin({ role: 'x', jwt }),
    wrappedTokenLogin({ wrappingToken: wrapping, creationPath: 'a' }),
    () => Promise.reject(new Error(`a host's message with ${secretId}`)),
    () => secretId.repeat(3).slice(0, 40).concat(' '),
  ]) {
    outputs.add(login)
    const other = await managed('s.canaryunknowncanaryunknown', { login, startTimeout: 0 })
    await outputs.attempt(() => other.manager.start())
    await look(other)
    await outputs.attempt(() => other.manager.stop())
  }

  const made = (await call('POST', 'auth/token/create', { ttl: '1h' })).auth.client_token as string
  secrets.push(made)
  // Mistakes that hosts make: the token where something else belongs.
  for (const wrong of [
    { endpoint: made },
    { endpoint: `https://${made}@vault.example` },
    { endpoint, namespace: `${made}\n` },
    { endpoint, token: `${made} ` },
    { endpoint, [made]: 1 },
  ]) {
    await outputs.attempt(() => createVaultClient(wrong as { endpoint: string }))
  }
  const plain = await managed(made, {})
  for (const options of [
    { [made]: 1 },
    { name: made.repeat(9) },
    { login: made },
    { sinks: [made] },
    { increment: made },
  ]) {
    await outputs.attempt(() => new VaultTokenManager({ client: plain.client, ...options } as VaultTokenManagerOptions))
  }
  await outputs.attempt(() => appRoleLogin({ roleId: 'a', mount: made } as never))
  await outputs.attempt(() => appRoleLogin({ [made]: 'a' } as never))
  await outputs.attempt(() => fromNodeVault(made as never))
  await outputs.attempt(() => plain.manager.start())
  await outputs.attempt(() => plain.manager.start({ mode: made as 'await' }))
  await outputs.attempt(() => plain.manager.forceRenewal({ [made]: 1 } as never))
  await outputs.attempt(() => plain.manager.forceRenewal({ increment: made as '1h' }))
  await outputs.attempt(() => plain.manager.lease({ lease_id: '', [made]: 1 }))
  await outputs.attempt(() => plain.client.read(made.slice(2)))
  const publish = publishToVaultKv({ vault: plain.manager, path: 'a' })
  const value = 'canary-value-0123456789-abcdefghijklmnop'
  secrets.push(value)
  await outputs.attempt(() =>
    publish({ token: value, signal: new AbortController().signal } as Parameters<typeof publish>[0]),
  )
  await look(plain)
  await plain.manager.stop()
  outputs.add(plain.client.request)
  await tokens.close()
  return secrets
}
