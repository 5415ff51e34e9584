import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { generateSecret, StoreUnavailableError, type TokenStore } from '../../src/index.ts'
import type { Stored } from '../../src/kernel/kind.ts'
import { judgeSigned, type SignedFacts } from '../../src/signed/signed-health.ts'
import {
  announce,
  dueStep,
  firstKey,
  type KeySchedule,
  type SigningKey,
  type SigningKeyRecord,
  signingKeyKind,
  takeOver,
  tidied,
} from '../../src/signed/signing-key.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'

const schedule: KeySchedule = { rotateEvery: 90 * DAY, announceFor: DAY, keepFor: 31 * DAY }
const fresh = (kid: string) => ({ kid, sealed: 'ring.sealed' })
const facts = (versions: readonly SigningKey[], now: number, more: Partial<SignedFacts> = {}): SignedFacts => ({
  ...{ now, schedule, sets: [{ algorithm: 'EdDSA', createdAt: START, versions }], ring: ['ring', 'older'] },
  ...{ usable: true, readAt: now - 1000, maxStaleness: 5000, revocations: 3, overdue: 0, ...more },
})
const told = (given: SignedFacts) => {
  const { status, reasons } = judgeSigned(given)
  return [status, ...reasons]
}

describe('the judgement', () => {
  const first = firstKey(fresh('one'), START)
  const second = announce(first, fresh('two'), schedule, START + 90 * DAY)

  it('has nothing to say of keys that take turns in time, and of a host without any', () => {
    expect(told(facts([], START, { sets: [] }))).toEqual(['healthy'])
    expect(judgeSigned(facts(first, START + DAY))).toEqual({
      ...{ status: 'healthy', reasons: [], revocations: { count: 3, readAt: START + DAY - 1000 } },
      keys: [{ algorithm: 'EdDSA', signing: 'one', nextDueAt: START + 90 * DAY }],
    })
    expect(judgeSigned(facts(second, START + 90 * DAY)).keys).toEqual([
      { algorithm: 'EdDSA', signing: 'one', next: 'two', nextSignsFrom: START + 91 * DAY },
    ])
    expect(told(facts(takeOver(second, schedule, START + 91 * DAY), START + 92 * DAY))).toEqual(['healthy'])
  })

  it('tells of a next key that is missing, or doesn’t sign, an hour after it should have', () => {
    expect(told(facts(first, START + 90 * DAY + HOUR - 1))).toEqual(['healthy'])
    expect(told(facts(first, START + 90 * DAY + HOUR))).toEqual([
      'degraded',
      'the next EdDSA key should have been announced 1h ago; does tick() run?',
    ])
    expect(told(facts(second, START + 91 * DAY + HOUR - 1))).toEqual(['healthy'])
    expect(told(facts(second, START + 93 * DAY))).toEqual([
      'degraded',
      "the next EdDSA key could have signed for 2d, and doesn't; does tick() run?",
    ])
    // An announcement that ran out is none.
    expect(told(facts(second, START + 181 * DAY))).toEqual([
      'degraded',
      'the next EdDSA key should have been announced 91d ago; does tick() run?',
    ])
  })

  it('tells of a current key that is missing, or can’t be opened', () => {
    const gone = tidied(
      first.map((key) => ({ ...key, state: 'retired' as const, endedAt: START })),
      START,
    )
    expect(told(facts(gone, START))).toEqual(['unhealthy', 'there is no current EdDSA key: no JWT can be minted'])
    expect(told(facts(first, START, { ring: ['another'] }))).toEqual([
      'unhealthy',
      'the EdDSA key one was sealed under a key that the ring lacks: no JWT can be minted',
    ])
    const foreign = second.map((key) => (key.kid === 'two' ? { ...key, sealed: 'elsewhere.x' } : key))
    expect(told(facts(foreign, START + 90 * DAY))).toEqual([
      'degraded',
      'the next EdDSA key two was sealed under a key that the ring lacks',
    ])
  })

  it('tells of revocations that can’t be read, are old, or stay for too long', () => {
    const unread = facts(first, START, { usable: false, readAt: Number.NEGATIVE_INFINITY })
    expect(judgeSigned(unread)).toMatchObject({ status: 'unhealthy', revocations: { count: 3 } })
    expect(judgeSigned(unread).revocations).not.toHaveProperty('readAt')
    expect(told(unread)[1]).toContain('refused as unavailable')
    expect(told(facts(first, START, { readAt: START - 5000 }))).toEqual([
      'degraded',
      "what is known of keys and revocations is 5s old, and the store doesn't answer",
    ])
    expect(told(facts(first, START, { overdue: DAY }))).toEqual(['healthy'])
    expect(told(facts(first, START, { overdue: 3 * DAY + 5 }))).toEqual([
      'degraded',
      'revocations that were over 3d ago are still kept; does tick() run?',
    ])
  })

  it('never complains of keys whose turns are taken at least every hour, and always of those that nobody turns', () => {
    const rhythm = fc.record({
      rotateEvery: fc.integer({ min: 20, max: 4000 }),
      announceFor: fc.integer({ min: 1, max: 100 }),
    })
    fc.assert(
      fc.property(rhythm, fc.array(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 300 }), (days, gaps) => {
        const own: KeySchedule = {
          rotateEvery: days.rotateEvery * HOUR,
          announceFor: days.announceFor * HOUR,
          keepFor: DAY,
        }
        let keys: readonly SigningKey[] = firstKey(fresh('0'), START)
        let now = START
        for (const [i, minutes] of gaps.entries()) {
          now += minutes * 60_000
          for (let step = dueStep(keys, own, now); step !== undefined; step = dueStep(keys, own, now)) {
            keys =
              step === 'announce'
                ? announce(keys, fresh(`${i}`), own, now)
                : step === 'promote'
                  ? takeOver(keys, own, now)
                  : tidied(keys, now)
          }
          expect(told(facts(keys, now, { schedule: own }))).toEqual(['healthy'])
        }
        const left = now + own.rotateEvery + own.announceFor + 2 * HOUR
        expect(told(facts(keys, left, { schedule: own }))[0]).toBe('degraded')
      }),
    )
  })
})

describe('tokens.health()', () => {
  it('has the source `signed`, for hosts without signed tokens too', async () => {
    const { tokens, clock } = setUp()
    expect((await tokens.health()).sources['signed']).toMatchObject({ status: 'healthy', keys: [] })
    await tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    const { id } = await tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'hmac' })
    await tokens.signer.revoke({ id })
    const healthy = await tokens.signer.health()
    expect(healthy).toMatchObject({ status: 'healthy', revocations: { count: 1, readAt: START } })
    expect(healthy.keys).toMatchObject([{ algorithm: 'EdDSA', nextDueAt: START + 90 * DAY }])
    // Nobody ticks for three months.
    await clock.advance(95 * DAY)
    const late = await tokens.health()
    expect(late.status).toBe('degraded')
    expect(late.reasons.filter((reason) => reason.startsWith('signed: '))).toEqual([
      'signed: the next EdDSA key should have been announced 5d ago; does tick() run?',
      expect.stringMatching(/^signed: revocations that were over \d+d ago are still kept; does tick\(\) run\?$/),
    ])
    await tokens.tick()
    expect((await tokens.health()).sources['signed']).toMatchObject({ status: 'healthy' })
    await tokens.close()
  })

  it('tells of a store that doesn’t answer: refused, or answered from what was read', async () => {
    const state = { down: false }
    const elsewhere = (store: TokenStore) =>
      new Proxy(store, {
        get(target, name) {
          if (name === 'watch' || name === 'cell') return undefined
          const value: unknown = Reflect.get(target, name, target)
          if (typeof value !== 'function') return value
          return async (...args: unknown[]) => {
            if (state.down) throw new StoreUnavailableError('it is down')
            return value.apply(target, args)
          }
        },
      })
    const one = setUp()
    const store = elsewhere(one.store)
    const closed = setUp({ store, keys: one.keys }, one.clock)
    const stale = setUp({ store, keys: one.keys, signed: { staleIfError: '1h' } }, one.clock)
    for (const { tokens } of [closed, stale]) expect((await tokens.signer.health()).status).toBe('healthy')
    state.down = true
    // Still fresh: signed tokens are judged, and the health of the store itself is another source.
    await one.clock.advance('6s')
    expect(await closed.tokens.signer.health()).toMatchObject({
      status: 'unhealthy',
      reasons: ["keys and revocations can't be read: signed tokens are refused as unavailable"],
    })
    expect(await stale.tokens.signer.health()).toMatchObject({
      status: 'degraded',
      reasons: ["what is known of keys and revocations is 6s old, and the store doesn't answer"],
    })
    state.down = false
    for (const { tokens } of [closed, stale]) expect((await tokens.signer.health()).status).toBe('healthy')
  })

  it('tells of a current key that can’t be opened, and of one that is gone', async () => {
    const keys = [
      { id: 'new', secret: generateSecret() },
      { id: 'old', secret: generateSecret() },
    ] as const
    const one = setUp({ keys: [keys[1]] })
    await one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    const { store } = one
    const held = (await store.get(signingKeyKind, 'EdDSA')) as Stored<SigningKeyRecord>
    // As somebody with write access may leave it: no service of ours would, and no store would take it from one.
    const having = (versions: readonly SigningKey[]): TokenStore =>
      new Proxy(store, {
        get(target, name) {
          const value: unknown = Reflect.get(target, name, target)
          if (typeof value !== 'function') return value
          if (name !== 'list') return value.bind(target)
          return async (kind: { readonly name: string }, query: unknown) => {
            const page = await value.call(target, kind, query)
            return kind.name === signingKeyKind.name
              ? { items: [{ ...held, value: { ...held.value, versions } }] }
              : page
          }
        },
      })
    const foreign = held.value.versions.map((key) => ({ ...key, sealed: `elsewhere.${key.sealed}` }))
    const health = await setUp({ store: having(foreign), keys }, one.clock).tokens.health()
    expect(health.status).toBe('unhealthy')
    expect(health.reasons[0]).toMatch(/^signed: the EdDSA key \S+ was sealed under a key that the ring lacks/)
    expect((await setUp({ store: having([]), keys }, one.clock).tokens.health()).reasons).toContain(
      'signed: there is no current EdDSA key: no JWT can be minted',
    )
  })
})
