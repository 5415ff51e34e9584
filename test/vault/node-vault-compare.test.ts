import NodeVault from 'node-vault'
import { describe, expect, it, vi } from 'vitest'
import { VaultSimulator } from '../../src/testing/index.ts'
import { createVaultClient, VaultTokenManager } from '../../src/vault/index.ts'
import { RENEW } from './fixture.ts'

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))

/** node-vault 0.12's own `startTokenRenewal()` and the manager, on the same server, in the same (real) time. */
describe('beside node-vault’s own renewal', () => {
  async function world(ttl: object) {
    const simulator = new VaultSimulator()
    const endpoint = await simulator.listen()
    const made = (await simulator.call('POST', 'auth/token/create', { policies: ['default'], ...ttl })) as {
      auth: { client_token: string }
    }
    return { simulator, endpoint, token: made.auth.client_token }
  }

  it('a token of 768 h: it renews in a hot loop, we don’t renew at all', async () => {
    const theirs = await world({ period: '768h' })
    const ours = await world({ period: '768h' })
    // Its hundred warnings of timers that overflow go here, and not into the log.
    const warnings: unknown[] = []
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation((_, name) => void warnings.push(name))
    const vault = NodeVault({ endpoint: theirs.endpoint, token: theirs.token })
    await vault.startTokenRenewal()
    const client = await createVaultClient({ endpoint: ours.endpoint, token: ours.token })
    const manager = new VaultTokenManager({ client })
    await manager.start()
    await pause(500)
    vault.stopTokenRenewal()
    await manager.stop()
    warn.mockRestore()
    expect(theirs.simulator.count(RENEW)).toBeGreaterThan(20)
    expect(ours.simulator.count(RENEW)).toBe(0)
    expect(warnings).toContain('TimeoutOverflowWarning')
    await Promise.all([theirs.simulator.close(), ours.simulator.close()])
  })

  it('one 503: it never renews again and the token dies, ours lives', async () => {
    const theirs = await world({ ttl: '6s' })
    const ours = await world({ ttl: '6s' })
    for (const { simulator } of [theirs, ours]) simulator.fault({ kind: 'answer', status: 503, path: RENEW })
    const vault = NodeVault({ endpoint: theirs.endpoint, token: theirs.token })
    const failed: unknown[] = []
    vault.on('token:error:renew', (error) => failed.push(error))
    await vault.startTokenRenewal()
    const client = await createVaultClient({ endpoint: ours.endpoint, token: ours.token })
    const manager = new VaultTokenManager({ client })
    await manager.start()
    await pause(7500)
    expect([failed.length, theirs.simulator.count(RENEW)]).toEqual([1, 1])
    await expect(vault.tokenLookupSelf()).rejects.toThrow('permission denied')
    expect(manager.status()).toMatchObject({ state: 'running', consecutiveFailures: 0 })
    expect(manager.status().failureCount).toBeGreaterThanOrEqual(1)
    expect(manager.status().renewalCount).toBeGreaterThanOrEqual(1)
    expect(await client.read('auth/token/lookup-self')).toHaveProperty('data.ttl')
    vault.stopTokenRenewal()
    await manager.stop()
    await Promise.all([theirs.simulator.close(), ours.simulator.close()])
  })
})
