import { describe, expect, it } from 'vitest'
import {
  FormatClashError,
  InGraceError,
  InvalidInputError,
  NotRetrievableError,
  TokenExistsError,
  TokenNotFoundError,
  TokenRevokedError,
  TokenStateError,
  TooManyLiveVersionsError,
} from '../../src/index.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'

describe('rotate', () => {
  it('refuses to make a text that a prefix listed since would refuse unseen', async () => {
    const { tokens, store, keys, clock } = setUp()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_', checksum: false })
    const { tokens: later } = setUp({ store, keys, formats: [{ prefix: 'sk_' }] }, clock)
    await expect(later.rotate('A')).rejects.toThrow(FormatClashError)
    expect((await tokens.get('A'))?.versions).toHaveLength(1)
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('keeps both versions through the grace, and not a millisecond longer', async () => {
    const { tokens, clock, events } = setUp()
    const first = await tokens.generate({ service: 'A', prefix: 'sk_live_', scopes: ['a:b'], owner: 'x' })
    const { token, record, rotation } = await tokens.rotate('A', { grace: '1h', actor: 'alice', reason: 'quarterly' })
    expect(token).toMatch(/^sk_live_/)
    expect(rotation).toMatchObject({ step: 'finish', status: 'done' })
    expect(record).toMatchObject({ id: first.record.id, scopes: ['a:b'], owner: 'x' })
    expect(record.versions).toMatchObject([
      { number: 2, state: 'current' },
      { number: 1, state: 'previous', supersededAt: START, endsAt: START + HOUR },
    ])
    expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'previous', versionNumber: 1 })
    expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'current', versionNumber: 2 })
    await clock.advance(HOUR - 1)
    expect((await tokens.verify(first.token)).ok).toBe(true)
    await clock.advance(1)
    expect(await tokens.verify(first.token)).toMatchObject({ code: 'expired' })
    expect((await tokens.verify(token)).ok).toBe(true)
    expect(events.events.find((event) => event.name === 'token.rotated')?.payload).toMatchObject({
      version: 2,
      graceUntil: START + HOUR,
      actor: 'alice',
      reason: 'quarterly',
    })
  })

  it('grace 0 fails every old version at its very next verification', async () => {
    const { tokens } = setUp()
    const first = await tokens.generate({ service: 'A' })
    const second = await tokens.rotate('A')
    for (const { token } of [first, second]) expect((await tokens.verify(token)).ok).toBe(true)
    const third = await tokens.rotate('A', { grace: 0 })
    for (const { token } of [first, second]) expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
    expect((await tokens.verify(third.token)).ok).toBe(true)
  })

  it('never extends a life, and expiresAt stands', async () => {
    const { tokens, clock } = setUp()
    const first = await tokens.generate({ service: 'A', expiresIn: '2h', expiresAt: START + 3 * HOUR })
    await clock.advance('1h')
    const { record, token } = await tokens.rotate('A', { grace: '10h' })
    expect(record.versions.map((version) => version.endsAt)).toEqual([START + 3 * HOUR, START + 2 * HOUR])
    await clock.advance('1h')
    expect(await tokens.verify(first.token)).toMatchObject({ code: 'expired' })
    expect((await tokens.verify(token)).ok).toBe(true)
    await clock.advance('1h')
    expect(await tokens.verify(token)).toMatchObject({ code: 'expired' })
  })

  it('expiresIn starts anew with each version', async () => {
    const { tokens, clock } = setUp()
    await tokens.generate({ service: 'A', expiresIn: '2h' })
    await clock.advance('1h')
    const { token } = await tokens.rotate('A')
    await clock.advance('90m')
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('takes grace from the call, the token, the host, and else 24 h', async () => {
    const end = async (setting: { host?: string; token?: string; call?: string }) => {
      const { tokens } = setUp(setting.host ? { defaults: { grace: setting.host as '1h' } } : {})
      await tokens.generate({ service: 'A', ...(setting.token && { grace: setting.token as '1h' }) })
      const { record } = await tokens.rotate('A', setting.call ? { grace: setting.call as '1h' } : {})
      return (record.versions[1]?.endsAt ?? 0) - START
    }
    expect(await end({})).toBe(DAY)
    expect(await end({ host: '2h' })).toBe(2 * HOUR)
    expect(await end({ host: '2h', token: '3h' })).toBe(3 * HOUR)
    expect(await end({ host: '2h', token: '3h', call: '4h' })).toBe(4 * HOUR)
  })

  it('within grace: keeps announced deadlines, refuses a fourth live version, or ends the oldest', async () => {
    const { tokens, clock } = setUp()
    const texts = [(await tokens.generate({ service: 'A' })).token]
    for (const grace of ['3h', '2h'] as const) {
      texts.push((await tokens.rotate('A', { grace })).token)
      await clock.advance(1000)
    }
    for (const text of texts) expect((await tokens.verify(text)).ok).toBe(true)
    expect((await tokens.get('A'))?.versions.map((version) => version.endsAt)).toEqual([
      undefined,
      START + 1000 + 2 * HOUR,
      START + 3 * HOUR,
    ])
    await expect(tokens.rotate('A')).rejects.toThrow(TooManyLiveVersionsError)
    await expect(tokens.rotate('A', { whenInGrace: 'refuse' })).rejects.toThrow(InGraceError)
    await tokens.rotate('A', { whenInGrace: 'endOldest' })
    expect(await tokens.verify(texts[0])).toMatchObject({ code: 'revoked' })
    expect((await tokens.verify(texts[1])).ok).toBe(true)
    await clock.advance('2h')
    await tokens.rotate('A')
  })

  it('refuses disabled, expired, revoked and unknown tokens, and changes nothing', async () => {
    const { tokens, clock, store } = setUp()
    const { record } = await tokens.generate({ service: 'A', expiresIn: '1h' })
    await tokens.disable('A')
    await expect(tokens.rotate('A')).rejects.toThrow(TokenStateError)
    await tokens.enable('A')
    await clock.advance('1h')
    await expect(tokens.rotate('A')).rejects.toThrow(TokenStateError)
    await tokens.revoke('A')
    const head = await store.journalHead()
    await expect(tokens.rotate({ id: record.id })).rejects.toThrow(TokenRevokedError)
    await expect(tokens.rotate('B')).rejects.toThrow(TokenNotFoundError)
    expect(await store.journalHead()).toEqual(head)
  })

  it('takes a text of one’s own when it has the form', async () => {
    const { tokens } = setUp()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_', checksum: false, length: 32 })
    const own = `sk_${'abcd1234'.repeat(4)}`
    expect((await tokens.rotate('A', { token: own })).token).toBe(own)
    expect((await tokens.verify(own)).ok).toBe(true)
    for (const bad of [
      'sk_short',
      `pk_${'abcd1234'.repeat(4)}`,
      `sk_${'abcd123!'.repeat(4)}`,
      7 as unknown as string,
    ]) {
      await expect(tokens.rotate('A', { token: bad })).rejects.toThrow(InvalidInputError)
    }
    await expect(tokens.rotate('A', { token })).rejects.toThrow(TokenExistsError)
  })

  it('of racing rotations each sees the one before: no lost version, no zero, no four', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A' })
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => tokens.rotate('A')))
    const done = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.token] : []))
    expect(done).toHaveLength(2)
    for (const result of results)
      if (result.status === 'rejected') expect(result.reason).toBeInstanceOf(TooManyLiveVersionsError)
    for (const text of done) expect((await tokens.verify(text)).ok).toBe(true)
  })

  it('refuses a signal that is none before anything is done', async () => {
    const { tokens } = setUp({ rotation: { hooks: { A: { publish: () => 'ok' } } } })
    await tokens.generate({ service: 'A' })
    await expect(tokens.rotate('A', { signal: {} as never })).rejects.toThrow(InvalidInputError)
    expect(await tokens.rotator.pending()).toEqual([])
  })

  it('refuses unknown options', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A' })
    for (const options of [{ grace: -1 }, { grace: 'soon' }, { whenInGrace: 'maybe' }, { gracePeriod: '1h' }]) {
      await expect(tokens.rotate('A', options as object)).rejects.toThrow(InvalidInputError)
    }
  })
})

describe('reveal', () => {
  it('gives back the text of a retrievable token, and the journal tells', async () => {
    const { tokens, store, events } = setUp()
    const { token } = await tokens.generate({ service: 'A', retrievable: true })
    expect(await tokens.rotator.reveal('A', { actor: 'alice', reason: 'new laptop' })).toBe(token)
    const rotated = await tokens.rotate('A')
    expect(await tokens.rotator.reveal('A')).toBe(rotated.token)
    expect((await store.journal({ limit: 10 })).map((entry) => [entry.action, entry.actor])).toEqual([
      ['token.generated', 'system'],
      ['token.revealed', 'alice'],
      ['token.rotated', 'system'],
      ['token.revealed', 'system'],
    ])
    expect(JSON.stringify(events.events)).not.toContain(token)
    expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('refuses others', async () => {
    const { tokens } = setUp()
    const { record } = await tokens.generate({ service: 'A' })
    await expect(tokens.rotator.reveal('A')).rejects.toThrow(NotRetrievableError)
    await tokens.revoke('A')
    await expect(tokens.rotator.reveal({ id: record.id })).rejects.toThrow(TokenRevokedError)
  })
})
