import { describe, expect, it } from 'vitest'
import {
  type BulkRotated,
  generateSecret,
  InvalidInputError,
  MemoryTokenStore,
  type TokenView,
  Tokenwright,
} from '../../src/index.ts'
import { rotationKind } from '../../src/rotation/rotation-record.ts'
import { CrashingStore } from '../crashing-store.ts'
import { turnsOf } from '../event-loop.ts'
import { DAY, setUp } from '../issuing/fixture.ts'

const handed = () => {
  const values = new Map<string, string>()
  return { values, onRotated: ({ service, token }: BulkRotated) => void values.set(service, token) }
}

async function population(count: number, more: (n: number) => object = () => ({}), options = {}) {
  const world = setUp(options)
  const first = new Map<string, string>()
  for (let n = 0; n < count; n++) {
    const service = `S${String(n).padStart(3, '0')}`
    first.set(service, (await world.tokens.generate({ service, ...more(n) })).token)
    await world.clock.advance('1h')
  }
  return { ...world, first }
}

describe('bulkRotate', () => {
  it('rotates all live tokens, hands on each new value, and tells how far it is', async () => {
    const { tokens, first } = await population(20)
    const { values, onRotated } = handed()
    const progress: [number, number][] = []
    const report = await tokens.rotator.bulkRotate({
      onRotated,
      onProgress: (done, total) => void progress.push([done, total]),
      grace: '1h',
      actor: 'alice',
      reason: 'audit',
    })
    expect(report).toMatchObject({ total: 20, rotated: 20, failed: [], skipped: [], omitted: 0, aborted: false })
    expect(progress.map(([done]) => done)).toEqual(Array.from({ length: 20 }, (_, n) => n + 1))
    expect(progress.every(([, total]) => total === 20)).toBe(true)
    for (const [service, token] of values) {
      expect(await tokens.verify(token)).toMatchObject({ ok: true, version: 'current', token: { service } })
      expect(await tokens.verify(first.get(service))).toMatchObject({ ok: true, version: 'previous' })
    }
    expect((await tokens.rotator.history('S007')).items).toMatchObject([
      { batch: report.batchId, actor: 'alice', reason: 'audit', status: 'done' },
    ])
  })

  it('selects by name, age, oldest, owner or tag, and by what a function says', async () => {
    const select = async (selection: object) => {
      const { tokens } = await population(6, (n) => ({ owner: n < 2 ? 'x' : 'y', tags: n % 2 === 0 ? ['even'] : [] }))
      const { values, onRotated } = handed()
      const report = await tokens.rotator.bulkRotate({ ...selection, onRotated })
      expect(report.rotated).toBe(values.size)
      return [...values.keys()].sort().join(' ')
    }
    expect(await select({ services: ['S003', 'S001', 'S003'] })).toBe('S001 S003')
    expect(await select({ services: [] })).toBe('')
    expect(await select({ oldest: 2 })).toBe('S000 S001')
    expect(await select({ oldest: 99 })).toBe('S000 S001 S002 S003 S004 S005')
    expect(await select({ olderThan: '5h' })).toBe('S000 S001')
    expect(await select({ where: { owner: 'x' } })).toBe('S000 S001')
    expect(await select({ where: { tag: 'even', owner: 'y' } })).toBe('S002 S004')
    expect(await select({ filter: ({ service }: TokenView) => service > 'S004' })).toBe('S005')
  })

  it('refuses a selector that is there but undefined, and several at once', async () => {
    const { tokens, store } = await population(1)
    const head = await store.journalHead()
    for (const options of [
      { services: undefined },
      { oldest: undefined },
      { where: undefined },
      { where: {} },
      { where: { owner: undefined } },
      { where: { status: 'active' } },
      { services: 'S000' },
      { oldest: 0 },
      { oldest: 1, olderThan: '1h' },
      { olderThan: 5 },
      { concurrency: 0 },
      { onRotated: 'log' },
      { batchId: 'with space' },
      { everything: true },
    ]) {
      await expect(tokens.rotator.bulkRotate(options as never), JSON.stringify(options)).rejects.toThrow(
        InvalidInputError,
      )
    }
    expect(await store.journalHead()).toEqual(head)
  })

  it('skips what can’t be rotated as it is, and what would reach nobody', async () => {
    const { tokens, clock } = await population(3)
    await tokens.generate({ service: 'KEPT', retrievable: true })
    await tokens.generate({ service: 'SHORT', expiresIn: '1h' })
    await clock.advance('2h')
    await tokens.disable('S001')
    await tokens.revoke('S002')
    const report = await tokens.rotator.bulkRotate({ services: ['S000', 'S001', 'S002', 'KEPT', 'SHORT', 'NONE'] })
    expect(report).toMatchObject({ total: 6, rotated: 1, failed: [] })
    expect(report.skipped.map(({ service, code }) => [service, code]).sort()).toEqual([
      ['NONE', 'not_found'],
      ['S000', 'no_recipient'],
      ['S001', 'disabled'],
      ['S002', 'not_found'],
      ['SHORT', 'expired'],
    ])
    expect((await tokens.get('S000'))?.versions).toHaveLength(1)
  })

  it('what fails for some is told, the others are done, and the same batch tries only those again', async () => {
    const { tokens, clock } = await population(30, () => ({}), { rotation: { attempts: 1 } })
    const bad = new Set(['S003', 'S011', 'S027'])
    const { values, onRotated } = handed()
    let calls = 0
    const options = {
      batchId: 'audit-2027',
      onRotated: (rotated: BulkRotated) => {
        calls += 1
        if (bad.has(rotated.service)) throw new Error('no answer')
        onRotated(rotated)
      },
    }
    const report = await tokens.rotator.bulkRotate(options)
    expect(report).toMatchObject({ batchId: 'audit-2027', total: 30, rotated: 27, skipped: [] })
    expect(report.failed.map(({ service, code }) => [service, code]).sort()).toEqual(
      [...bad].map((s) => [s, 'stalled']),
    )
    expect(calls).toBe(30)
    for (const service of bad)
      expect((await tokens.get(service))?.versions.find(({ state }) => state === 'current')?.number).toBe(1)
    bad.clear()
    await clock.advance('1h')
    const again = await tokens.rotator.bulkRotate(options)
    expect(again).toMatchObject({ total: 30, rotated: 30, failed: [], skipped: [] })
    expect(calls).toBe(33)
    expect(values.size).toBe(30)
    const third = await tokens.rotator.bulkRotate(options)
    expect(third).toMatchObject({ total: 30, rotated: 30 })
    expect(calls).toBe(33)
    for (const [service, token] of values) {
      expect(await tokens.verify(token)).toMatchObject({ version: 'current', token: { service } })
    }
    await expect(tokens.rotator.bulkRotate({ ...options, oldest: 3 })).rejects.toThrow(InvalidInputError)
  })

  it('stops at a signal, and is carried on', async () => {
    const { tokens } = await population(40)
    const abort = new AbortController()
    const { values, onRotated } = handed()
    const first = await tokens.rotator.bulkRotate({
      batchId: 'b',
      oldest: 30,
      onRotated,
      concurrency: 2,
      signal: abort.signal,
      onProgress: (done) => done === 10 && abort.abort(),
    })
    expect(first).toMatchObject({ total: 30, aborted: true })
    expect(first.rotated).toBeGreaterThanOrEqual(10)
    expect(first.rotated).toBeLessThan(13)
    const second = await tokens.rotator.bulkRotate({ batchId: 'b', oldest: 30, onRotated })
    expect(second).toMatchObject({ total: 30, rotated: 30, aborted: false })
    expect([...values.keys()].sort()).toEqual(Array.from({ length: 30 }, (_, n) => `S${String(n).padStart(3, '0')}`))
    for (let n = 0; n < 40; n++) {
      const view = await tokens.get(`S${String(n).padStart(3, '0')}`)
      expect(view?.versions).toHaveLength(n < 30 ? 2 : 1)
    }
  })

  it('emergency: grace 0 ends every old value', async () => {
    const { tokens, first } = await population(5)
    const { onRotated, values } = handed()
    await tokens.rotator.bulkRotate({ grace: 0, onRotated, reason: 'leak' })
    for (const token of first.values()) expect(await tokens.verify(token)).toMatchObject({ code: 'revoked' })
    for (const token of values.values()) expect((await tokens.verify(token)).ok).toBe(true)
  })

  it('a process that dies anywhere is followed by one that does the rest: each token once, and each value handed on', async () => {
    for (const at of [1, 2, 3, 5, 8, 9, 14]) {
      for (const when of ['before', 'after'] as const) {
        const { tokens, store, keys, clock, first } = await population(4)
        const { onRotated, values } = handed()
        const crashing = new CrashingStore(store, at, when)
        const dying = setUp({ store: crashing.store, keys }, clock).tokens
        const options = { batchId: 'b', onRotated, concurrency: 1 }
        await dying.rotator.bulkRotate(options).catch(() => {})
        for (const [service, token] of first) {
          expect((await tokens.verify(token)).ok).toBe(true)
          if (values.has(service)) expect((await tokens.verify(values.get(service))).ok).toBe(true)
        }
        await clock.advance('2m')
        const report = await tokens.rotator.bulkRotate(options)
        expect(report, `${at} ${when}`).toMatchObject({ total: 4, rotated: 4, failed: [], skipped: [] })
        for (const [service, token] of values) {
          expect(await tokens.verify(token), `${at} ${when}`).toMatchObject({
            ok: true,
            version: 'current',
            token: { service },
          })
        }
      }
    }
  })

  it('lets the process do other things meanwhile', async () => {
    const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
    for (let n = 0; n < 2000; n++) await tokens.generate({ service: `S${n}` })
    const { longest, total } = await turnsOf(async () => {
      expect((await tokens.rotator.bulkRotate({ onRotated: () => {} })).rotated).toBe(2000)
    })
    // Everything here is done without I/O: a bulk that didn't give way would be one turn. How long one may be at most is
    // the benchmark's to say; this holds on a machine of any speed.
    expect(longest).toBeLessThan(total / 4)
    await tokens.close()
  })

  it('a version made for a slot is as old as the slot, and met once', async () => {
    const { tokens, clock } = await population(5)
    await clock.advance('10d')
    const slot = clock.now() - DAY
    const { onRotated } = handed()
    const report = await tokens.rotator.bulkRotate({ origin: { rule: 'r', slot }, onRotated })
    expect(report).toMatchObject({ total: 5, rotated: 5, failed: [] })
    const next = await tokens.rotator.bulkRotate({ olderThan: '1d', onRotated })
    expect(next).toMatchObject({ total: 5, rotated: 5 })
  })
})

describe('a batch that is carried on', () => {
  it('counts what was under way or had stalled, once it is done', async () => {
    let broken = true
    const publish = () => (broken ? 'unknown' : 'ok')
    const { tokens } = await population(3, () => ({ retrievable: true }), {
      rotation: { attempts: 1, hooks: { '*': { publish } } },
    })
    const before = await tokens.rotator.bulkRotate({ batchId: 'b' })
    expect(before).toMatchObject({ total: 3, rotated: 0, failed: [{ code: 'stalled' }, {}, {}] })
    broken = false
    expect(await tokens.rotator.bulkRotate({ batchId: 'b' })).toMatchObject({ total: 3, rotated: 3, failed: [] })
    expect(await tokens.rotator.bulkRotate({ batchId: 'b' })).toMatchObject({ total: 3, rotated: 3, failed: [] })
  })
})

describe('an emergency batch whose values reached nobody', () => {
  it.each([{ oldest: 2 }, { olderThan: '2h' } as const])(
    'hands them out when it is carried on, and takes no others (%o)',
    async (some) => {
      let broken = true
      const publish = () => (broken ? 'unknown' : 'ok')
      const { tokens } = await population(4, () => ({ retrievable: true }), {
        rotation: { attempts: 1, hooks: { '*': { publish } } },
      })
      const options = { ...some, batchId: 'b', grace: 0 }
      const before = await tokens.rotator.bulkRotate(options)
      broken = false
      const after = await tokens.rotator.bulkRotate(options)
      expect(after).toMatchObject({ rotated: before.total, failed: [] })
      expect(await tokens.rotator.pending()).toEqual([])
      const { tokens: all } = await tokens.list().then((page) => ({ tokens: page.items }))
      expect(all.filter(({ versions }) => versions.length > 1)).toHaveLength(before.total)
    },
  )
})

describe('a batch in a rotator that closes', () => {
  it('begins no further rotation', async () => {
    const { tokens, store } = await population(10)
    let closing: Promise<void> | undefined
    const onRotated = () => {
      closing = tokens.rotator.close()
    }
    const report = await tokens.rotator.bulkRotate({ onRotated, concurrency: 1 })
    expect(report).toMatchObject({ total: 10, aborted: true })
    const begun = await store.list(rotationKind, { index: 'batch', in: report.batchId, limit: 100 })
    expect(begun.items).toHaveLength(1)
    await closing
  })
})
