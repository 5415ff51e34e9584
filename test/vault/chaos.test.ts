import { expect, it } from 'vitest'
import { seededRandom } from '../../src/testing/index.ts'
import { appRoleLogin } from '../../src/vault/index.ts'
import { bench } from './fixture.ts'

const FAULTS = [
  { kind: 'reset' },
  { kind: 'lost_response' },
  { kind: 'hang' },
  { kind: 'latency', ms: 1500 },
  { kind: 'html' },
  { kind: 'empty' },
  { kind: 'answer', status: 503, errors: ['Vault is sealed'] },
  { kind: 'answer', status: 403, errors: ['permission denied'] },
  { kind: 'answer', status: 429, headers: { 'retry-after': '3' } },
  { kind: 'answer', status: 500, errors: ['past the max TTL, cannot renew'] },
] as const

it.each(Array.from({ length: 20 }, (_, index) => `chaos ${index}`))(
  '%s: whatever happens, in whatever order: nothing is left behind, and the sinks end with the newest token',
  async (seed) => {
    const random = seededRandom(seed)
    const one = <T>(of: readonly T[]): T => of[Math.floor(random.float() * of.length)] as T
    const unhandled: unknown[] = []
    const onUnhandled = (error: unknown) => unhandled.push(error)
    process.on('unhandledRejection', onUnhandled)
    const { manage, clock, appRole, simulator } = bench()
    const login = appRoleLogin(await appRole({ token_ttl: '30s', token_max_ttl: one(['60s', '90s', '24h']) }))
    const got: string[] = []
    const quick = ({ token }: { token: string }) => void got.push(token)
    const slow = async ({ token }: { token: string }) => {
      const answer = random.float()
      await clock.sleep(Math.floor(answer * 15_000))
      if (answer >= 0.5) throw new Error('no')
      got.push(token)
    }
    const { manager, vault, told } = await manage(undefined, {
      login,
      random,
      sinks: [quick, slow],
      timers: random.float() < 0.7,
      revokeOld: '5s',
      startTimeout: '5s',
    })
    const swallow = (promise: Promise<unknown>) => void promise.catch(() => {})
    for (let step = 0; step < 300; step++) {
      const choice = Math.floor(random.float() * 12)
      if (choice === 0) swallow(manager.start(one([{}, { mode: 'background' }] as const)))
      else if (choice === 1 && random.float() < 0.3) swallow(manager.stop({ revoke: random.float() < 0.5 }))
      else if (choice === 2)
        swallow(
          manager.forceRenewal(one([{}, { increment: '40s' }, { increment: '20s', allowShorten: true }] as const)),
        )
      else if (choice === 3) swallow(manager.lookup())
      else if (choice === 4) swallow(manager.withToken(() => vault.read('auth/token/lookup-self')))
      else if (choice === 5) {
        try {
          const lease = manager.lease(`a/${step}`, { ttl: '20s' })
          if (random.float() < 0.3) lease.release()
        } catch {}
      } else if (choice === 6) simulator.fault({ ...one(FAULTS), times: 1 + Math.floor(random.float() * 3) })
      else if (choice === 7 && vault.token !== '')
        await simulator.call('POST', 'auth/token/revoke', { token: vault.token })
      else if (choice === 8 && random.float() < 0.2) await clock.set(clock.now() + 400_000)
      else if (choice === 9) swallow(manager.tick())
      else if (choice === 10) simulator.setDown(random.float() < 0.3)
      ;[manager.status(), manager.health(), manager.metrics()]
      await clock.advance(Math.floor(random.float() * 4000))
    }
    simulator.setDown(false)
    simulator.clearFaults()
    // No wait is longer than 5 minutes.
    for (let second = 0; second < 900 && manager.health().status !== 'healthy'; second++) {
      swallow(manager.start())
      await clock.advance('1s')
      swallow(manager.tick())
    }
    expect(manager.health()).toEqual({ status: 'healthy', reasons: [] })
    expect(manager.status()).toMatchObject({ running: true, state: 'running' })
    expect(got.at(-1)).toBe(vault.token)
    await manager.stop()
    const heard = told.length
    await clock.advance('1h')
    expect([told.length, clock.pending(), manager.status().leases]).toEqual([heard, 0, 0])
    expect(simulator.count()).toBeLessThan(2500)
    expect(told.filter(({ name }) => name === 'listenerError')).toEqual([])
    process.off('unhandledRejection', onUnhandled)
    expect(unhandled).toEqual([])
  },
)
