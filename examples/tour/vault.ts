import { fakeClock, VaultSimulator } from 'tokenwright/testing'
import { createVaultClient, VaultTokenManager } from 'tokenwright/vault'
import type { Transcript } from './transcript.ts'

interface Made {
  readonly auth: { readonly client_token: string; readonly accessor: string }
}

/** A Vault token, kept alive: on a clock that the tour moves, and on the server that VAULT_ADDR names, if there is one. */
export async function showVault(transcript: Transcript): Promise<void> {
  transcript.chapter('A Vault token is kept alive, through an outage and a revocation (on a clock that the tour moves)')
  const clock = fakeClock()
  const simulator = new VaultSimulator({ clock })
  const create = async () => (await simulator.call('POST', 'auth/token/create', { ttl: '1h' })) as Made
  const first = (await create()).auth
  const { endpoint, fetch } = simulator
  const vault = await createVaultClient({ endpoint, token: first.client_token, fetch, clock })
  const login = async () => (await create()).auth.client_token
  const manager = new VaultTokenManager({ client: vault, clock, login })
  const told: string[] = []
  manager.events.onAny((name) => told.push(name))
  await manager.start()
  await clock.advance('1d')
  const { state, renewalCount } = manager.status()
  transcript.step('a token of 1 h, a day later', 'running', state)
  transcript.step('renewals, at 70 to 73 % of the hour', 'true', String(renewalCount >= 32 && renewalCount <= 34))
  simulator.seal()
  // Two minutes beyond the next renewal: it fails, and is tried again.
  await clock.advance((manager.status().nextRenewalAt ?? 0) - clock.now() + 120_000)
  transcript.step('health while the server is sealed', 'degraded', manager.health().status)
  simulator.unseal()
  await clock.advance('5m')
  transcript.step('health after that', 'healthy', manager.health().status)
  await simulator.call('POST', 'auth/token/revoke-accessor', { accessor: first.accessor })
  const read = await manager.withToken((token) => vault.read('auth/token/lookup-self').then(() => token))
  transcript.step('a request after somebody revoked it', 'answered', read === vault.token ? 'answered' : 'refused')
  transcript.step('what was told last', 'expired reauthenticated', told.slice(-2).join(' '))
  await manager.stop()

  const { VAULT_ADDR: address, VAULT_TOKEN: root } = process.env
  if (!address || !root) {
    transcript.line('   (no VAULT_ADDR and VAULT_TOKEN: nothing was done on a real server)')
    return
  }
  const rooted = await createVaultClient({ endpoint: address, token: root })
  const made = (await rooted.write('auth/token/create', { ttl: '3s', policies: ['default'] })) as Made
  const real = new VaultTokenManager({
    client: await createVaultClient({ endpoint: address, token: made.auth.client_token }),
  })
  await real.start()
  await new Promise((resolve) => setTimeout(resolve, 4000))
  transcript.step('a token of 3 s on the real server, 4 s later', 'running', real.status().state)
  await real.stop({ revoke: true })
}
