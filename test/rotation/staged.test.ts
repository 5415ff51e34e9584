import { describe, expect, it } from 'vitest'
import {
  InvalidInputError,
  NoRecipientError,
  type RotationHooks,
  RotationInProgressError,
  RotationNotFoundError,
  RotationStateError,
  type ValueContext,
} from '../../src/index.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'

/** Lets what is under way come to its next wait. */
const settle = async () => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

function world(hooks: RotationHooks, more: object = {}) {
  return setUp({ rotation: { hooks: { A: hooks }, ...more } })
}

describe('a rotation with hooks', () => {
  it('publishes a version that verifies already, tests it, and only then makes it current', async () => {
    const calls: string[] = []
    const seen: ValueContext[] = []
    const { tokens, events, store } = world({
      publish: async (context) => {
        seen.push(context)
        const answer = await tokens.verify(context.token)
        calls.push(`publish ${answer.ok && answer.version}`)
      },
      test: async (context) => {
        const answer = await tokens.verify(context.token)
        calls.push(`test ${answer.ok && answer.version}`)
        return 'ok'
      },
      finish: (context) => {
        calls.push(`finish ${context.record.versions[0]?.state} ${'token' in context}`)
      },
    })
    const first = await tokens.generate({ service: 'A' })
    const { token, record, rotation } = await tokens.rotate('A', { grace: '1h', actor: 'alice', reason: 'quarterly' })
    expect(calls).toEqual(['publish pending', 'test pending', 'finish current true'])
    expect(seen[0]).toMatchObject({ token, service: 'A', version: 2, attempt: 1, rotationId: rotation.id })
    expect(seen[0]).not.toHaveProperty('origin')
    expect(rotation).toMatchObject({
      status: 'done',
      step: 'finish',
      version: 2,
      actor: 'alice',
      graceUntil: START + HOUR,
    })
    expect(record.versions.map(({ number, state }) => [number, state])).toEqual([
      [2, 'current'],
      [1, 'previous'],
    ])
    expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'previous' })
    expect(events.names().filter((name) => name.startsWith('rotation.') || name === 'token.rotated')).toEqual([
      'rotation.started',
      'token.rotated',
    ])
    expect((await store.journal({ limit: 10 })).map(({ action, reason }) => [action, reason])).toEqual([
      ['token.generated', undefined],
      ['rotation.started', 'quarterly'],
      ['token.rotated', 'quarterly'],
    ])
    expect((await tokens.rotator.history('A')).items).toMatchObject([{ id: rotation.id, reason: 'quarterly' }])
    expect(await tokens.rotator.pending()).toEqual([])
  })

  it('keeps the old version current while a hook’s answer is unknown, and tries the same value again', async () => {
    const values: string[] = []
    const { tokens, clock, events } = world({
      publish: ({ token, attempt }) => {
        values.push(token)
        if (attempt === 1) throw Object.assign(new Error(`a secret ${token}`), { code: 'ECONNRESET' })
        return attempt === 2 ? 'unknown' : 'ok'
      },
    })
    const first = await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A')
    await settle()
    const [pending] = await tokens.rotator.pending()
    expect(pending).toMatchObject({
      status: 'running',
      step: 'publish',
      attempts: 2,
      failure: { code: 'ECONNRESET', step: 'publish' },
    })
    expect(JSON.stringify(pending)).not.toContain(values[0])
    expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'current' })
    expect(await tokens.verify(values[0])).toMatchObject({ ok: true, version: 'pending' })
    await clock.advance(1000)
    await settle()
    await clock.advance(2000)
    const { token, rotation } = await rotating
    expect(values).toEqual([token, token, token])
    expect(rotation.status).toBe('done')
    expect(events.names()).toContain('listenerError')
  })

  it('draws another value when one is rejected, a bounded number of times, then stalls', async () => {
    const values: string[] = []
    const { tokens, events, clock } = world({
      publish: ({ token }) => {
        values.push(token)
        return 'rejected'
      },
    })
    const first = await tokens.generate({ service: 'A' })
    const { rotation, token } = await tokens.rotate('A')
    expect(new Set(values).size).toBe(4)
    expect(token).toBe(values[3])
    expect(rotation).toMatchObject({
      status: 'stalled',
      step: 'publish',
      regenerated: 3,
      failure: { code: 'rejected' },
    })
    expect(await events.waitFor('rotation.stalled')).toMatchObject({ code: 'rejected', step: 'publish', service: 'A' })
    expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'current' })
    for (const value of values.slice(0, 3)) expect(await tokens.verify(value)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(values[3])).toMatchObject({ ok: true, version: 'pending' })
    // Its deadline ends it, and the next rotation is free to go.
    await expect(tokens.rotate('A')).rejects.toThrow(RotationInProgressError)
    await clock.advance(DAY)
    await tokens.tick()
    expect((await tokens.rotator.history('A')).items[0]).toMatchObject({ status: 'abandoned' })
    expect(await tokens.verify(values[3])).toMatchObject({ code: 'expired' })
  })

  it('a rejected test publishes the next value anew', async () => {
    const steps: string[] = []
    const { tokens } = world({
      publish: ({ version }) => void steps.push(`publish ${version}`),
      test: ({ version }) => {
        steps.push(`test ${version}`)
        return version === 2 ? 'rejected' : 'ok'
      },
    })
    await tokens.generate({ service: 'A' })
    const { rotation, record } = await tokens.rotate('A')
    expect(steps).toEqual(['publish 2', 'test 2', 'publish 3', 'test 3'])
    expect(rotation).toMatchObject({ status: 'done', version: 3 })
    expect(record.versions.map(({ number, state }) => [number, state])).toEqual([
      [3, 'current'],
      [2, 'retired'],
      [1, 'previous'],
    ])
  })

  it('stalls after so many attempts, and resume goes on with the value that is given back', async () => {
    let up = false
    const values: string[] = []
    const { tokens, clock } = world({
      publish: ({ token }) => {
        values.push(token)
        return up ? 'ok' : 'unknown'
      },
    })
    const first = await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A')
    await settle()
    for (let i = 0; i < 6; i++) {
      await clock.advance(20_000)
      await settle()
    }
    const { token, rotation } = await rotating
    expect(rotation).toMatchObject({ status: 'stalled', attempts: 5 })
    expect(values).toHaveLength(5)
    up = true
    await expect(tokens.rotator.resume(rotation.id, { token: first.token })).rejects.toThrow(InvalidInputError)
    await expect(tokens.rotator.resume('nothing')).rejects.toThrow(RotationNotFoundError)
    const [resumed] = await tokens.rotator.resume(rotation.id, { token })
    expect(resumed).toMatchObject({ status: 'done' })
    expect(new Set(values)).toEqual(new Set([token]))
    expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'current' })
  })

  it('a hook that hangs loses its lease, and its late answer changes nothing', async () => {
    let answer = (_: 'ok'): void => {}
    const signals: AbortSignal[] = []
    const { tokens, clock } = world(
      {
        publish: ({ signal, attempt }) => {
          signals.push(signal)
          return attempt === 1 ? new Promise((resolve) => (answer = resolve)) : 'rejected'
        },
      },
      { hookTimeout: '5s', regenerations: 0 },
    )
    await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A')
    await settle()
    await clock.advance(5000)
    await settle()
    expect(signals[0]?.aborted).toBe(true)
    await clock.advance(1000)
    const { rotation } = await rotating
    expect(rotation.status).toBe('stalled')
    answer('ok')
    await settle()
    expect((await tokens.rotator.history('A')).items[0]).toMatchObject({ status: 'stalled' })
  })

  it('grace 0 switches before publish runs: a hung publish never keeps a leaked value alive', async () => {
    const order: string[] = []
    const { tokens, clock } = world(
      {
        publish: async ({ attempt }) => {
          order.push((await tokens.verify(first.token)).ok ? 'old alive' : 'old dead')
          return attempt < 2 ? new Promise(() => {}) : 'ok'
        },
      },
      { hookTimeout: '5s' },
    )
    const first = await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A', { grace: 0, reason: 'leaked' })
    await settle()
    expect(order).toEqual(['old dead'])
    await clock.advance(6000)
    await settle()
    const { token, rotation } = await rotating
    expect(order).toEqual(['old dead', 'old dead'])
    expect(rotation).toMatchObject({ status: 'done' })
    expect(rotation).not.toHaveProperty('graceUntil')
    expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'current' })
  })

  it('grace 0 ends a rotation that is under way, with its pending value', async () => {
    const values: string[] = []
    let hang = true
    const { tokens, clock } = world({
      publish: ({ token }) => {
        values.push(token)
        return hang ? new Promise(() => {}) : 'ok'
      },
    })
    await tokens.generate({ service: 'A' })
    const slow = tokens.rotate('A')
    await settle()
    hang = false
    const fast = await tokens.rotate('A', { grace: 0 })
    expect(fast.rotation.status).toBe('done')
    expect(await tokens.verify(values[0])).toMatchObject({ code: 'revoked' })
    await clock.advance('40s')
    await settle()
    expect((await slow).rotation).toMatchObject({ status: 'abandoned', failure: { code: 'pending_ended' } })
    expect(await tokens.verify(fast.token)).toMatchObject({ ok: true, version: 'current' })
  })

  it('the same id makes one rotation, one after the other and at once', async () => {
    let published = 0
    const { tokens } = world({ publish: () => void published++ })
    await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B', retrievable: true })
    const first = await tokens.rotate('A', { rotationId: 'deploy-42' })
    expect(first.token).toBeDefined()
    const again = await tokens.rotate('A', { rotationId: 'deploy-42' })
    expect(again.token).toBeUndefined()
    expect(again.rotation).toEqual(first.rotation)
    const both = await Promise.all([1, 2, 3].map(() => tokens.rotate('B', { rotationId: 'deploy-43' })))
    expect(new Set(both.map(({ token }) => token)).size).toBe(1)
    expect(both[0]?.record.versions).toHaveLength(2)
    expect(published).toBe(1)
    await expect(tokens.rotate('B', { rotationId: 'deploy-42' })).rejects.toThrow(InvalidInputError)
    await expect(tokens.rotate('B', { rotationId: 'with space' })).rejects.toThrow(InvalidInputError)
  })

  it('a second rotation is refused while one is under way', async () => {
    const { tokens, clock } = world({ publish: () => new Promise(() => {}) }, { attempts: 1 })
    await tokens.generate({ service: 'A' })
    const slow = tokens.rotate('A', { rotationId: 'slow' })
    await settle()
    const error = await tokens.rotate('A').catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(RotationInProgressError)
    expect(error).toMatchObject({ rotation: 'slow', retryable: true })
    await clock.advance('30s')
    expect((await slow).rotation.status).toBe('stalled')
  })

  it('hooks given with the call say that nobody else can carry them on', async () => {
    const { tokens } = setUp()
    await tokens.generate({ service: 'A' })
    const seen: string[] = []
    const { rotation, token } = await tokens.rotate('A', {
      hooks: { publish: (context) => void seen.push(context.token) },
    })
    expect(seen).toEqual([token])
    expect(rotation).toMatchObject({ resumable: false, status: 'done' })
    for (const hooks of [{ publish: 1 }, { publsh: () => {} }, 'all']) {
      await expect(tokens.rotate('A', { hooks: hooks as never })).rejects.toThrow(InvalidInputError)
      expect(() => setUp({ rotation: { hooks: { A: hooks as never } } })).toThrow(InvalidInputError)
    }
  })

  it("'*' stands in for the hooks that a service lacks", async () => {
    const calls: string[] = []
    const hook = (name: string) => () => void calls.push(name)
    const { tokens } = setUp({
      rotation: { hooks: { '*': { publish: hook('*'), finish: hook('* finish') }, A: { publish: hook('A') } } },
    })
    for (const service of ['A', 'B']) {
      await tokens.generate({ service })
      await tokens.rotate(service)
    }
    expect(calls).toEqual(['A', '* finish', '*', '* finish'])
  })

  it('a token that is revoked meanwhile stays revoked, and the rotation is given up', async () => {
    const { tokens, events } = world({
      publish: async () => void (await tokens.revoke('A', { reason: 'left' })),
    })
    const first = await tokens.generate({ service: 'A' })
    const { rotation, token } = await tokens.rotate('A')
    expect(rotation).toMatchObject({ status: 'abandoned', failure: { code: 'pending_ended' } })
    expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(first.token)).toMatchObject({ code: 'revoked' })
    expect(events.names()).toContain('rotation.abandoned')
  })

  it('other changes of the token meanwhile are kept', async () => {
    const { tokens } = world({ publish: async () => void (await tokens.update('A', { scopes: ['a:b'] })) })
    await tokens.generate({ service: 'A' })
    const { record, rotation } = await tokens.rotate('A')
    expect(rotation.status).toBe('done')
    expect(record.scopes).toEqual(['a:b'])
  })

  it('a finish that fails is tried again, but the switch stands', async () => {
    let calls = 0
    const { tokens, clock } = world({ finish: () => (++calls < 3 ? 'unknown' : 'ok') })
    await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A')
    await settle()
    expect((await tokens.get('A'))?.versions[0]).toMatchObject({ number: 2, state: 'current' })
    await clock.advance(1000)
    await settle()
    await clock.advance(2000)
    expect((await rotating).rotation).toMatchObject({ status: 'done' })
    expect(calls).toBe(3)
  })

  it('what was brought is never replaced, and may be of another form only by force', async () => {
    const own = `other_${'abcd1234'.repeat(4)}`
    const { tokens } = world({ publish: ({ token }) => (token === own ? 'rejected' : 'ok') })
    await tokens.generate({ service: 'A', prefix: 'sk_' })
    await expect(tokens.rotate('A', { token: own })).rejects.toThrow(InvalidInputError)
    await expect(tokens.rotate('A', { token: 'short', force: true })).rejects.toThrow(InvalidInputError)
    await expect(tokens.rotate('A', { token: 'with space '.repeat(4), force: true })).rejects.toThrow(InvalidInputError)
    const { rotation } = await tokens.rotate('A', { token: own, force: true })
    expect(rotation).toMatchObject({ status: 'stalled', regenerated: 0 })
    expect(await tokens.verify(own)).toMatchObject({ ok: true, version: 'pending' })
    const done = await tokens.rotate('A', { token: own.replace('other', 'third'), force: true, grace: 0 })
    expect(done.rotation.status).toBe('done')
    expect(done.record.preview).toBe('third_…')
  })

  it('a signal ends the wait; the rotation stays for tick', async () => {
    let up = false
    const { tokens, clock } = world({ publish: () => (up ? 'ok' : 'unknown') })
    await tokens.generate({ service: 'A', retrievable: true })
    const abort = new AbortController()
    const rotating = tokens.rotate('A', { signal: abort.signal })
    await settle()
    abort.abort()
    const { rotation, token } = await rotating
    expect(rotation).toMatchObject({ status: 'running', step: 'publish' })
    up = true
    await clock.advance(1)
    expect((await tokens.tick()).rotations).toMatchObject({ resumed: 1 })
    expect((await tokens.get('A'))?.versions[0]).toMatchObject({ state: 'current', number: 2 })
    expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'current' })
  })

  it('close stops waiting and leaves the rotation to others', async () => {
    const { tokens, store, keys, clock } = world({ publish: () => new Promise(() => {}) })
    await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A').catch((error: unknown) => error)
    await settle()
    await tokens.rotator.close()
    expect(await rotating).toMatchObject({ rotation: { status: 'running' } })
    const { tokens: later } = setUp({ store, keys, rotation: { hooks: { A: { publish: () => 'ok' } } } }, clock)
    expect((await later.tick()).rotations).toMatchObject({ resumed: 1 })
  })
})

describe('who gets a value that nobody asked for', () => {
  const origin = { rule: 'nightly', slot: START }

  it('is refused before any effect where nobody would', async () => {
    const { tokens, store } = setUp()
    await tokens.generate({ service: 'A' })
    const head = await store.journalHead()
    await expect(tokens.rotate('A', { origin })).rejects.toThrow(NoRecipientError)
    await expect(tokens.rotator.issue({ service: 'B' }, { origin })).rejects.toThrow(NoRecipientError)
    expect(await store.journalHead()).toEqual(head)
    expect(await tokens.get('B')).toBeUndefined()
    expect(await tokens.rotator.pending()).toEqual([])
    expect(tokens.rotator.hasRecipient('A', false)).toBe(false)
    expect(tokens.rotator.hasRecipient('A', true)).toBe(true)
  })

  it('goes to the publish hook, or stays as a sealed copy', async () => {
    const seen: ValueContext[] = []
    const { tokens, clock } = world({ publish: (context) => void seen.push(context) })
    await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B', retrievable: true })
    await clock.advance('1h')
    const { record } = await tokens.rotate('A', { origin })
    expect(seen[0]).toMatchObject({ origin: { rule: 'nightly', slot: START } })
    expect(record.versions[0]).toMatchObject({ createdAt: START + HOUR })
    await tokens.rotate('B', { origin })
    const byAge = await tokens.list({ order: 'rotated' })
    expect(byAge.items.map(({ service }) => service)).toEqual(['A', 'B'])
    expect((await tokens.rotator.history('A')).items[0]).toMatchObject({ rule: 'nightly', slot: START })
  })

  it('issues a token and publishes it, the same one for the same id', async () => {
    const seen: ValueContext[] = []
    const { tokens } = world({ publish: (context) => void seen.push(context) })
    const made = await tokens.rotator.issue(
      { service: 'A', scopes: ['a:b'] },
      { origin, rotationId: 'one', actor: 'rule' },
    )
    expect(made.rotation).toMatchObject({ status: 'done', version: 1, actor: 'rule' })
    expect(seen).toMatchObject([{ token: made.token, version: 1 }])
    expect(await tokens.verify(made.token, { scopes: ['a:b'] })).toMatchObject({ ok: true, version: 'current' })
    const again = await tokens.rotator.issue({ service: 'A' }, { origin, rotationId: 'one' })
    expect(again.record.id).toBe(made.record.id)
    expect(seen).toHaveLength(1)
    expect((await tokens.rotator.issue({ service: 'S', retrievable: true }, { origin })).rotation.status).toBe('done')
  })
})

describe('abandon', () => {
  it('keeps what consumers may have until its deadline, unless rollback says that they are back', async () => {
    for (const rollback of [undefined, () => 'ok' as const, () => 'unknown' as const]) {
      const values: string[] = []
      const { tokens, events } = world(
        {
          publish: ({ token }) => {
            values.push(token)
            throw new Error('half way')
          },
          ...(rollback && { rollback }),
        },
        { attempts: 1 },
      )
      const first = await tokens.generate({ service: 'A' })
      const { rotation } = await tokens.rotate('A')
      const undone = await tokens.rotator.abandon(rotation.id, { actor: 'bob', reason: 'gave up' })
      expect(undone.rotation).toMatchObject({ status: 'abandoned' })
      const kept = rollback?.() !== 'ok'
      expect(await tokens.verify(values[0])).toMatchObject(
        kept ? { ok: true, version: 'previous' } : { code: 'revoked' },
      )
      expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'current' })
      expect(await events.waitFor('rotation.abandoned')).toMatchObject({
        actor: 'bob',
        ...(kept && { keptUntil: START + DAY }),
      })
      await expect(tokens.rotator.abandon(rotation.id)).rejects.toThrow(RotationStateError)
      expect((await tokens.rotate('A', { hooks: {} })).rotation.status).toBe('done')
    }
  })

  it('ends at once what nobody was told of', async () => {
    let value = ''
    const { tokens } = world(
      {
        test: ({ token }) => {
          value = token
          return 'unknown'
        },
      },
      { attempts: 1 },
    )
    await tokens.generate({ service: 'A' })
    const { rotation } = await tokens.rotate('A')
    await tokens.rotator.abandon(rotation.id)
    expect(await tokens.verify(value)).toMatchObject({ code: 'revoked' })
  })

  it('stops whoever is at it', async () => {
    let answer = (_: 'ok'): void => {}
    const { tokens } = world({ publish: () => new Promise((resolve) => (answer = resolve)) })
    await tokens.generate({ service: 'A' })
    const rotating = tokens.rotate('A', { rotationId: 'r' })
    await settle()
    await tokens.rotator.abandon('r')
    answer('ok')
    expect((await rotating).rotation).toMatchObject({ status: 'abandoned' })
    expect((await tokens.get('A'))?.versions.find(({ state }) => state === 'current')?.number).toBe(1)
  })
})

describe('rollback', () => {
  it('makes the version before current again, within its grace', async () => {
    const back: number[] = []
    const { tokens, clock, events } = world({ publish: () => 'ok', rollback: ({ version }) => void back.push(version) })
    const first = await tokens.generate({ service: 'A' })
    const { token, rotation } = await tokens.rotate('A', { grace: '2h' })
    await clock.advance('1h')
    const undone = await tokens.rotator.rollback(rotation.id, { actor: 'bob' })
    expect(undone.rotation.status).toBe('rolled_back')
    expect(undone.record?.versions.map(({ number, state, endsAt }) => [number, state, endsAt])).toEqual([
      [2, 'previous', START + 3 * HOUR],
      [1, 'current', undefined],
    ])
    expect(back).toEqual([2])
    expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'current' })
    expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'previous' })
    expect(await events.waitFor('rotation.rolledBack')).toMatchObject({ current: 1, version: 2, actor: 'bob' })
    await expect(tokens.rotator.rollback(rotation.id)).rejects.toThrow(RotationStateError)
    const third = await tokens.rotate('A')
    expect(third.rotation.version).toBe(3)
  })

  it('ends the new version at once with grace 0, and refuses what has ended or was revoked', async () => {
    const { tokens, clock } = setUp()
    await tokens.generate({ service: 'A' })
    const second = await tokens.rotate('A', { grace: '1h' })
    await tokens.rotator.rollback(second.rotation.id, { grace: 0 })
    expect(await tokens.verify(second.token)).toMatchObject({ code: 'revoked' })
    const third = await tokens.rotate('A', { grace: '1h' })
    await clock.advance('1h')
    await expect(tokens.rotator.rollback(third.rotation.id)).rejects.toThrow(RotationStateError)
    const fourth = await tokens.rotate('A', { grace: '1h' })
    await expect(tokens.rotator.rollback(third.rotation.id)).rejects.toThrow(RotationStateError)
    const { record } = fourth
    await tokens.revoke('A')
    await expect(tokens.rotator.rollback(fourth.rotation.id)).rejects.toThrow('revoked')
    expect(record.versions[0]?.number).toBe(4)
    await expect(tokens.rotator.rollback('nothing')).rejects.toThrow(RotationNotFoundError)
  })
})

describe('adoption', () => {
  it('is told once the old version has been quiet for a while, by the store’s activity', async () => {
    const { tokens, clock, events } = setUp()
    const first = await tokens.generate({ service: 'A' })
    const { rotation } = await tokens.rotate('A', { grace: '10h' })
    for (let i = 0; i < 3; i++) {
      await clock.advance('5m')
      await tokens.verify(first.token)
      await tokens.tick()
    }
    const lastUse = clock.now()
    await clock.advance('9m')
    expect((await tokens.tick()).rotations).toEqual({ resumed: 0, adopted: 0 })
    await clock.advance('1m')
    expect((await tokens.tick()).rotations).toEqual({ resumed: 0, adopted: 1 })
    expect(await events.waitFor('rotation.adopted')).toMatchObject({
      rotation: rotation.id,
      quietSince: lastUse,
      retired: false,
    })
    expect(await tokens.verify(first.token)).toMatchObject({ ok: true, version: 'previous' })
    await clock.advance('1h')
    expect((await tokens.tick()).rotations).toEqual({ resumed: 0, adopted: 0 })
  })

  it('ends the old version then, when asked to', async () => {
    const { tokens, clock } = setUp()
    const first = await tokens.generate({ service: 'A' })
    await tokens.rotate('A', { grace: '10h', retireWhenQuiet: true })
    await clock.advance('10m')
    expect((await tokens.tick()).rotations).toEqual({ resumed: 0, adopted: 1 })
    expect(await tokens.verify(first.token)).toMatchObject({ code: 'revoked' })
  })

  it('isn’t told where the grace ends first, or there is none', async () => {
    const { tokens, clock, events } = setUp()
    const first = await tokens.generate({ service: 'A' })
    await tokens.rotate('A', { grace: '8m' })
    await clock.advance('7m')
    await tokens.verify(first.token)
    await tokens.tick()
    await clock.advance('1h')
    await tokens.tick()
    await tokens.rotate('A', { grace: 0 })
    await clock.advance('1h')
    expect((await tokens.tick()).rotations).toEqual({ resumed: 0, adopted: 0 })
    expect(events.names()).not.toContain('rotation.adopted')
  })
})

describe('history', () => {
  it('is forgotten after a while, but for the rotation that made the current version', async () => {
    const { tokens, clock } = setUp({ rotation: { history: '30d' } })
    await tokens.generate({ service: 'A' })
    const ids: string[] = []
    for (let i = 0; i < 3; i++) {
      ids.unshift((await tokens.rotate('A', { grace: '1h' })).rotation.id)
      await clock.advance('2h')
    }
    const all = await tokens.rotator.history('A', { limit: 2 })
    expect(all.items.map(({ id }) => id)).toEqual(ids.slice(0, 2))
    expect((await tokens.rotator.history('A', { cursor: all.cursor as string })).items.map(({ id }) => id)).toEqual(
      ids.slice(2),
    )
    await clock.advance('60d')
    await tokens.tick()
    expect((await tokens.rotator.history('A')).items.map(({ id }) => id)).toEqual(ids.slice(0, 1))
    await expect(tokens.rotator.history('A', { limit: 0 })).rejects.toThrow(InvalidInputError)
  })
})
