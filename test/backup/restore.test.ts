import { createReadStream } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import {
  archived,
  Backups,
  CORE_KINDS,
  type FateCounts,
  type KeyInput,
  type Kind,
  MemoryTokenStore,
  type RestoreMode,
  type Tokenwright,
} from '../../src/index.ts'
import { rotationKind } from '../../src/rotation/rotation-record.ts'
import { keyKind } from '../../src/stores/key-check.ts'
import { activityId, activityKind } from '../../src/stores/usage-rows.ts'
import { accountKind, draft } from '../../src/testing/store-suite/kit.ts'
import { tokenKind } from '../../src/tokens/record.ts'
import { DAY, HOUR, setUp } from '../issuing/fixture.ts'
import { allRows, archiveFolder, codeFrom, contents } from './fixture.ts'

let files: ReturnType<typeof archiveFolder>
beforeEach(() => {
  files = archiveFolder()
})
afterEach(() => files.remove())

const MODES: readonly RestoreMode[] = ['merge', 'missing_only', 'replace']

/** A copy of a door's store as it is now, in a store of its own, by way of an archive. */
async function copyOf(tokens: Tokenwright, more: Parameters<typeof setUp>[0] = {}, keys?: readonly KeyInput[]) {
  const { file } = await tokens.backups.create({ to: files.at('copy.twb') })
  const copy = setUp({ ...more, ...(keys && { keys }) }, tokens.clock as Parameters<typeof setUp>[1])
  await copy.tokens.backups.restore(file as string)
  return copy
}

/** The fates of the tokens. */
const fates = (counts: FateCounts): object => ({ ...counts['token'] })

describe('a restore into an empty store', () => {
  it('brings everything back: tokens verify, revoked and removed ones don’t, and the names are taken', async () => {
    const { tokens, clock, store } = setUp({})
    const a = await tokens.generate({ service: 'A', scopes: ['a:b'], tags: ['x'], owner: 'team', quota: { limit: 5 } })
    const b = await tokens.generate({ service: 'B', retrievable: true })
    const c = await tokens.generate({ service: 'C' })
    const d = await tokens.generate({ service: 'D', expiresIn: '1h' })
    const next = await tokens.rotate('A', { grace: '2d' })
    await tokens.verify(a.token)
    await tokens.usage.flush()
    await tokens.revoke('C', { reason: 'leak' })
    await clock.advance(2 * HOUR)
    await tokens.cleanup({ retention: 0 })
    expect((await allRows(store)).filter((row) => 'tombstone' in row).length).toBe(2)

    const copy = await copyOf(tokens)
    expect(await contents(copy.store)).toEqual(await contents(store))
    for (const token of [a.token, b.token, c.token, d.token, next.token]) {
      const [here, there] = [await tokens.verify(token), await copy.tokens.verify(token)]
      expect([there.ok, there.ok ? 'ok' : there.code]).toEqual([here.ok, here.ok ? 'ok' : here.code])
    }
    expect(await copy.tokens.rotator.reveal('B')).toBe(b.token)
    expect(await codeFrom(() => copy.tokens.generate({ service: 'A' }))).toBe('ERR_SERVICE_EXISTS')
    expect(await codeFrom(() => copy.tokens.import({ service: 'E', token: c.token }))).toBe('ERR_TOKEN_EXISTS')
    expect((await copy.tokens.list({ tag: 'x' })).items.map((view) => view.service)).toEqual(['A'])
  })

  it('opens a new epoch: whoever read a record before can not write it', async () => {
    const { tokens, store } = setUp({})
    await tokens.generate({ service: 'A' })
    await tokens.update('A', { description: 'x' })
    const before = (await allRows(store)).map((row) => row.revision)
    const copy = await copyOf(tokens)
    const after = (await allRows(copy.store)).map((row) => row.revision)
    expect(before).toEqual([2, 1])
    expect(after).toEqual([2 ** 32 + 1, 2 ** 32 + 1])
    const again = await copyOf(copy.tokens)
    expect((await allRows(again.store)).map((row) => row.revision)).toEqual([2 ** 33 + 1, 2 ** 33 + 1])
    await copy.tokens.update('A', { description: 'y' })
    expect((await copy.tokens.get('A'))?.revision).toBe(2 ** 32 + 2)
  })

  it('has an entry in the journal for each record, and one event', async () => {
    const { tokens } = setUp({})
    const { record } = await tokens.generate({ service: 'A' })
    const { file = '', archive } = await tokens.backups.create({ to: files.at('a.twb') })
    const other = setUp({})
    await other.tokens.backups.restore(file, { actor: 'alice', reason: 'disk lost' })
    expect(await other.store.journal({ limit: 10 })).toMatchObject([
      {
        subject: record.id,
        action: 'token.restored',
        actor: 'alice',
        reason: 'disk lost',
        revision: 2 ** 32 + 1,
        detail: { archive },
      },
    ])
    const told = other.events.events.filter(({ name }) => name === 'store.restored')
    expect(told.map(({ payload }) => payload)).toMatchObject([
      { archive, mode: 'merge', written: 2, removed: 0, refused: 0, actor: 'alice', reason: 'disk lost' },
    ])
    expect(other.events.names()).not.toContain('token.generated')
  })

  it('is told to durable subscribers, and brings the rotations of its tokens along', async () => {
    const { tokens } = setUp({ rotation: { attempts: 1, hooks: { A: { publish: () => 'unknown' } } } })
    await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B' })
    const stuck = await tokens.rotate('A')
    const done = await tokens.rotate('B')
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const heard: string[] = []
    const other = setUp({ onEvent: [{ name: 'audit', handler: (event) => void heard.push(event.name) }] })
    await other.tokens.backups.restore(file)
    await other.tokens.tick()
    expect(heard).toEqual(['store.restored'])
    expect(other.store.get(rotationKind, done.rotation.id)).toMatchObject({ value: { status: 'done' } })
    // Its text is with consumers that this store knows nothing of.
    expect(other.store.get(rotationKind, stuck.rotation.id)).toMatchObject({ value: { status: 'abandoned' } })
    expect((await other.tokens.backups.restore(file)).written).toBe(0)
  })

  it('counts usage on: activity rows come back with their tokens', async () => {
    const { tokens } = setUp({})
    const { token, record } = await tokens.generate({ service: 'A' })
    for (let i = 0; i < 3; i++) await tokens.verify(token)
    await tokens.usage.flush()
    const copy = await copyOf(tokens)
    await copy.tokens.verify(token)
    await copy.tokens.usage.flush()
    const stored = await copy.store.get(activityKind, activityId(record.id, 1))
    expect(stored?.value.calls).toBe(4)
  })
})

describe('a restore over other data', () => {
  it('in every mode, again and again, changes nothing more', async () => {
    for (const mode of MODES) {
      const { tokens, clock, store } = setUp({ backups: { directory: files.folder } })
      for (const service of ['A', 'B', 'C', 'D']) await tokens.generate({ service })
      const { file = '' } = await tokens.backups.create()
      await clock.advance(HOUR)
      await tokens.rotate('A', { grace: '1d' })
      await tokens.revoke('B')
      await tokens.update('C', { level: 'read_only' })
      await tokens.generate({ service: 'E' })
      await tokens.backups.restore(file, { mode })
      const once = await allRows(store)
      const report = await tokens.backups.restore(file, { mode })
      expect([mode, report.written, report.removed]).toEqual([mode, 0, 0])
      expect((await tokens.audit.verify({ records: true })).ok).toBe(true)
      expect(await allRows(store)).toEqual(once)
    }
  })

  it('merge keeps what is newer here, and brings what is missing', async () => {
    const { tokens, clock } = setUp({})
    const a = await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B' })
    const copy = await copyOf(tokens)
    const gone = await tokens.generate({ service: 'GONE' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    await clock.advance(HOUR)
    await copy.tokens.update('A', { description: 'newer' })
    const { token } = await copy.tokens.rotate('A', { grace: '1h' })
    const plan = await copy.tokens.backups.plan(file)
    expect(fates(plan.counts)).toEqual({ newer_in_store: 1, identical: 1, create: 1 })
    expect(plan.examples['token']).toMatchObject({ newer_in_store: [{ id: a.record.id, name: 'A' }] })
    const report = await copy.tokens.backups.restore(file)
    expect(report).toEqual(plan)
    expect((await copy.tokens.get('A'))?.description).toBe('newer')
    for (const text of [a.token, token, gone.token]) expect((await copy.tokens.verify(text)).ok).toBe(true)
    await clock.advance(2 * HOUR)
    expect(await copy.tokens.verify(a.token)).toMatchObject({ ok: false, code: 'expired' })
  })

  it('merge takes what is newer in the archive, revocations first of all', async () => {
    const { tokens, clock } = setUp({})
    const { token } = await tokens.generate({ service: 'A' })
    const second = await tokens.generate({ service: 'B' })
    const copy = await copyOf(tokens)
    await clock.advance(HOUR)
    await tokens.revoke('A', { reason: 'leak' })
    await tokens.rotate('B', { grace: 0 })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    await clock.advance(HOUR)
    // Newer here, and revoked there all the same.
    await copy.tokens.update('A', { description: 'still in use' })
    const report = await copy.tokens.backups.restore(file)
    expect(fates(report.counts)).toEqual({ merged: 1, older_in_store: 1 })
    expect(await copy.tokens.audit.verify({ records: true })).toMatchObject({ ok: true, records: 2 })
    expect(await copy.tokens.verify(token)).toMatchObject({ ok: false, code: 'revoked' })
    expect(await copy.tokens.verify(second.token)).toMatchObject({ ok: false, code: 'revoked' })
  })

  it.each(MODES)('%s never revives what was revoked or removed here', async (mode) => {
    const { tokens, clock, store } = setUp({ backups: { directory: files.folder } })
    const revoked = await tokens.generate({ service: 'REVOKED' })
    const removed = await tokens.generate({ service: 'REMOVED', expiresIn: '1h' })
    const disabled = await tokens.generate({ service: 'DISABLED' })
    const rotated = await tokens.generate({ service: 'ROTATED' })
    const { file = '' } = await tokens.backups.create()
    await tokens.revoke('REVOKED')
    await tokens.disable('DISABLED')
    await tokens.rotate('ROTATED', { grace: 0 })
    await clock.advance(2 * HOUR)
    await tokens.cleanup({ retention: 0 })
    const all = [revoked, removed, disabled, rotated]
    const before = await Promise.all(all.map(({ token }) => tokens.verify(token)))
    expect(before.map((answer) => !answer.ok && answer.code)).toEqual(['unknown', 'unknown', 'disabled', 'revoked'])
    const plan = await tokens.backups.plan(file, { mode })
    const report = await tokens.backups.restore(file, { mode })
    expect(report.counts).toEqual(plan.counts)
    expect(report.counts['token']?.would_revive).toBe(2)
    const after = await Promise.all(all.map(({ token }) => tokens.verify(token)))
    expect(after.map((answer) => !answer.ok && answer.code)).toEqual(['unknown', 'unknown', 'disabled', 'revoked'])
    // What belongs to them stays away too.
    for (const { record } of [revoked, removed]) {
      expect(await tokens.get({ id: record.id })).toBeUndefined()
      expect(await store.get(activityKind, activityId(record.id, 1))).toBeUndefined()
    }
  })

  it('missing_only touches nothing that is here', async () => {
    const { tokens, clock } = setUp({})
    await tokens.generate({ service: 'A' })
    await tokens.generate({ service: 'B', expiresIn: '1h' })
    const copy = await copyOf(tokens)
    await clock.advance(HOUR)
    await tokens.revoke('A')
    await tokens.cleanup({ retention: 0 })
    await tokens.generate({ service: 'NEW' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const before = await contents(copy.store)
    const report = await copy.tokens.backups.restore(file, { mode: 'missing_only' })
    expect(fates(report.counts)).toEqual({ present: 2, create: 1 })
    const after = await contents(copy.store)
    for (const [id, value] of before) expect([id, after.get(id)]).toEqual([id, value])
    expect(after.size).toBe(before.size + 2)
  })

  it('replace puts the archive in place of what is here, and makes an archive of that first', async () => {
    const { tokens, clock, store } = setUp({ backups: { directory: files.folder, keep: 1 } })
    const a = await tokens.generate({ service: 'A', level: 'admin' })
    await tokens.generate({ service: 'B' })
    const { file = '' } = await tokens.backups.create()
    const then = await contents(store)
    await clock.advance(HOUR)
    await tokens.update('A', { level: 'read_only', description: 'changed' })
    const late = await tokens.generate({ service: 'LATE' })
    const now = await contents(store)
    const plan = await tokens.backups.plan(file, { mode: 'replace' })
    const { before = '', ...report } = await tokens.backups.restore(file, { mode: 'replace' })
    expect(report).toEqual(plan)
    expect(fates(report.counts)).toEqual({ merged: 1, identical: 1, remove: 1 })
    expect(report.removed).toBe(2)
    const view = await tokens.get('A')
    expect(view).toMatchObject({ id: a.record.id, level: 'admin' })
    expect(view?.description).toBeUndefined()
    expect(await tokens.verify(late.token)).toMatchObject({ ok: false, code: 'unknown' })
    const after = await contents(store)
    after.delete(`token/${late.record.id}`)
    expect([...after.keys()].sort()).toEqual([...then.keys()].sort())
    // The archive of before is whole, the rule of retention took neither, and it brings back what can come back.
    expect((await tokens.backups.verify(before)).tokenCount).toBe(3)
    const fresh = setUp({}, clock)
    await fresh.tokens.backups.restore(before)
    expect(await contents(fresh.store)).toEqual(now)
    expect((await fresh.tokens.verify(late.token)).ok).toBe(true)
    expect((await tokens.backups.verify(file)).tokenCount).toBe(2)
  })

  it('replace needs a place for that archive, and says so before anything else', async () => {
    const { tokens } = setUp({})
    await tokens.generate({ service: 'A' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    await expect(tokens.backups.restore(file, { mode: 'replace' })).rejects.toMatchObject({ field: 'to' })
    await expect(tokens.backups.restore(file, { to: files.at('b.twb') })).rejects.toMatchObject({ field: 'to' })
    await expect(tokens.backups.restore(file, { mode: 'replace', to: files.at('none/b.twb') })).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_IO',
    })
    expect((await tokens.get('A'))?.revision).toBe(1)
  })

  it('a name that another holds is a conflict, and the rest goes on', async () => {
    const { tokens } = setUp({})
    for (const service of ['A', 'B', 'C']) await tokens.generate({ service })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const other = setUp({})
    const held = await other.tokens.generate({ service: 'B' })
    const plan = await other.tokens.backups.plan(file)
    expect(fates(plan.counts)).toEqual({ create: 2, conflict: 1 })
    expect(plan.refused).toBe(2)
    const report = await other.tokens.backups.restore(file)
    expect(report).toEqual(plan)
    expect(report.counts['activity']).toEqual({ create: 2, orphan: 1 })
    expect((await other.tokens.get('B'))?.id).toBe(held.record.id)
    expect((await other.tokens.get('C'))?.status).toBe('active')
  })

  it('a name that its holder gives up in the same restore is free', async () => {
    const { tokens, clock } = setUp({})
    const old = await tokens.generate({ service: 'A', expiresIn: '1h' })
    const copy = await copyOf(tokens)
    await clock.advance(2 * HOUR)
    // Takes the name of the expired one.
    const young = await tokens.generate({ service: 'A' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const report = await copy.tokens.backups.restore(file)
    expect(report.refused).toBe(0)
    expect((await copy.tokens.get('A'))?.id).toBe(young.record.id)
    expect((await copy.tokens.get({ id: old.record.id }))?.status).toBe('expired')
  })

  it('a digest that a removed token keeps is not given to another', async () => {
    const text = 'imported-0123456789-abcdefghijklmnopqrstuvwxyz'
    const { tokens } = setUp({})
    await tokens.import({ service: 'A', token: text })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const other = setUp({})
    await other.tokens.import({ service: 'B', token: text })
    await other.tokens.revoke('B')
    await other.tokens.cleanup({ retention: 0 })
    const report = await other.tokens.backups.restore(file)
    expect(fates(report.counts)).toEqual({ would_revive: 1 })
    expect(await other.tokens.verify(text)).toMatchObject({ ok: false, code: 'unknown' })
  })

  it('a tombstone of the archive removes what is here, and all its digests stay taken', async () => {
    const { tokens, clock } = setUp({})
    const first = await tokens.generate({ service: 'A', expiresIn: '1h' })
    const copy = await copyOf(tokens)
    const second = await copy.tokens.rotate('A', { grace: '1h' })
    await clock.advance(2 * HOUR)
    await tokens.cleanup({ retention: 0 })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const report = await copy.tokens.backups.restore(file)
    expect(fates(report.counts)).toEqual({ remove: 1 })
    for (const { token } of [first, second]) {
      expect(await codeFrom(() => copy.tokens.import({ service: 'B', token }))).toBe('ERR_TOKEN_EXISTS')
    }
  })
})

describe('a stream that can’t be put down in a temporary file', () => {
  it('is told as such, before anything is written', async () => {
    const { tokens } = setUp()
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    vi.stubEnv('TMPDIR', files.at('nowhere'))
    try {
      expect(await codeFrom(() => tokens.backups.plan(createReadStream(file)))).toBe('ERR_ARCHIVE_IO')
    } finally {
      vi.unstubAllEnvs()
    }
  })
})

describe('races', () => {
  it('a record that changes while the restore goes on is judged anew', async () => {
    const { tokens, clock } = setUp({})
    for (let i = 0; i < 20; i++) await tokens.generate({ service: `S${i}` })
    const store = new MemoryTokenStore({ clock })
    const copy = await copyOf(tokens, { store })
    await clock.advance(HOUR)
    for (let i = 0; i < 20; i++) await tokens.update(`S${i}`, { description: 'from the archive' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    // Between its look and its commit, somebody revokes two tokens and removes one.
    const commit = store.commit.bind(store)
    let meddled = false
    store.commit = (each) => {
      if (!meddled && each.write.length === 20) {
        meddled = true
        const now = [...(store.list(tokenKind, { index: 'created', limit: 20 }).items ?? [])]
        const [one, two] = now as [(typeof now)[0], (typeof now)[0]]
        const revoked = { ...one.value, revoked: { at: clock.now() }, updatedAt: clock.now() + 1 }
        const grave = { endedAt: 1, reason: 'test', digests: [] }
        commit(draft([{ kind: tokenKind, id: one.id, revision: one.revision, value: revoked }]))
        commit(draft([{ kind: tokenKind, id: two.id, revision: two.revision, tombstone: grave }]))
      }
      return commit(each)
    }
    const report = await copy.tokens.backups.restore(file)
    expect(meddled).toBe(true)
    expect(fates(report.counts)).toEqual({ would_revive: 2, older_in_store: 18 })
    const views = (await copy.tokens.list()).items
    expect(views.filter((view) => view.status === 'revoked').length).toBe(1)
    expect(views.length).toBe(19)
  })
})

describe('the ring', () => {
  const ring = (...ids: string[]): KeyInput[] =>
    ids.map((id) => ({ id, secret: `${id}-0123456789-abcdefghijklmnopqrstuvwxyz` }))

  it('that can not prove the tokens is refused before anything is written', async () => {
    const { tokens } = setUp({ keys: ring('one') })
    await tokens.generate({ service: 'A' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const cases: readonly (readonly [KeyInput[], string])[] = [
      [ring('two'), 'ERR_KEY_RING_MISMATCH'],
      [[{ id: 'one', secret: 'other-0123456789-abcdefghijklmnopqrstuvwxyz' }], 'ERR_KEY_RING_MISMATCH'],
    ]
    for (const [keys, code] of cases) {
      const other = setUp({ keys })
      expect(await codeFrom(() => other.tokens.backups.restore(file, { keys: ring('one') }))).toBe(code)
      expect(await codeFrom(() => other.tokens.backups.plan(file, { keys: ring('one') }))).toBe(code)
      expect(await allRows(other.store)).toEqual([])
    }
    const both = setUp({ keys: ring('two', 'one') })
    expect((await both.tokens.backups.restore(file)).written).toBeGreaterThan(0)
  })

  it('that lacks one of two keys names it, and does once nothing alive hangs on it', async () => {
    const first = setUp({ keys: ring('old') })
    await first.tokens.generate({ service: 'OLD', expiresIn: '1d' })
    const both = setUp({ keys: ring('new', 'old'), store: first.store }, first.clock)
    await both.tokens.generate({ service: 'NEW' })
    const { file = '' } = await both.tokens.backups.create({ to: files.at('a.twb') })
    const only = setUp({ keys: ring('new') }, first.clock)
    await expect(only.tokens.backups.restore(file)).rejects.toMatchObject({ code: 'ERR_KEY_IN_USE', key: 'old' })
    expect(await allRows(only.store)).toEqual([])
    await first.clock.advance(2 * DAY)
    await only.tokens.backups.restore(file)
    expect((await only.tokens.list()).items.length).toBe(2)
    expect((await only.store.get(keyKind, 'old'))?.value.id).toBe('old')
  })
})

describe('kinds', () => {
  interface Plan {
    readonly name: string
    readonly enabled: boolean
    readonly pausedBy?: string
  }
  const planKind: Kind<Plan, 'all', 'name'> = {
    name: 'test_plan',
    schema: 1,
    journaled: true,
    unique: { name: (plan) => [plan.name] },
    order: { all: () => ({ at: 0 }) },
    merge: (here, theirs, prefer) => (here === undefined || prefer === 'archived' ? theirs : undefined),
  }
  const plans = archived(planKind, {
    all: ['all'],
    atRest: (plan) => ({ ...plan, enabled: false, pausedBy: 'restore' }),
  })
  const keys = 'a-ring-0123456789-abcdefghijklmnopqrstuvwxyz'
  const make = (store = new MemoryTokenStore(), kinds = [...CORE_KINDS, plans]) => ({
    store,
    backups: new Backups({ store, keys, kinds, directory: files.folder }),
  })

  it('come back at rest unless told otherwise', async () => {
    const { store, backups } = make()
    const value: Plan = { name: 'nightly', enabled: true }
    store.commit(draft([{ kind: planKind, id: 'p', revision: 0, value }]))
    const { file = '' } = await backups.create()
    const paused = make()
    await paused.backups.restore(file)
    expect(paused.store.get(planKind, 'p')?.value).toEqual({ name: 'nightly', enabled: false, pausedBy: 'restore' })
    const again = await paused.backups.restore(file)
    expect(again.counts['test_plan']).toEqual({ identical: 1 })
    const kept = make()
    await kept.backups.restore(file, { rules: 'keep' })
    expect(kept.store.get(planKind, 'p')?.value).toEqual(value)
    // What is here already stays as it is, unless all is replaced.
    await backups.restore(file)
    expect(store.get(planKind, 'p')?.value).toEqual(value)
    await backups.restore(file, { mode: 'replace' })
    expect(store.get(planKind, 'p')?.value.enabled).toBe(false)
  })

  it('that are not known, or of a newer schema, are refused before anything is written', async () => {
    const { store, backups } = make()
    store.commit(draft([{ kind: planKind, id: 'p', revision: 0, value: { name: 'nightly', enabled: true } }]))
    const { file = '' } = await backups.create()
    const without = make(new MemoryTokenStore(), [...CORE_KINDS])
    await expect(without.backups.restore(file)).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_NEWER',
      message: expect.stringContaining("'test_plan'"),
    })
    expect(await without.backups.verify(file)).toMatchObject({ counts: { records: { test_plan: 1 } } })
    const newer = archived({ ...planKind, schema: 2 }, { all: ['all'] })
    const ahead = make(new MemoryTokenStore(), [newer])
    const made = await ahead.backups.create({ to: files.at('newer.twb') })
    await expect(make().backups.plan(made.file as string)).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_NEWER',
      message: expect.stringContaining('test_plan records are of schema 2'),
    })
    // A kind that this version doesn't know but of which there is nothing is no obstacle.
    store.commit(draft([{ kind: accountKind, id: 'x', revision: 0, value: { name: 'x', keys: [], rank: 0 } }]))
    const empty = await make().backups.create({ to: files.at('empty.twb') })
    await without.backups.restore(empty.file as string)
  })

  it('a name that is given up far behind is taken on another go', async () => {
    const { store, backups } = make()
    const put = (target: MemoryTokenStore, id: string, name: string, revision = 0) =>
      target.commit(draft([{ kind: planKind, id, revision, value: { name, enabled: false } }]))
    put(store, 'a', 'wanted')
    for (let i = 0; i < 600; i++) put(store, `m${i}`, `m${i}`)
    put(store, 'z', 'other')
    const { file = '' } = await backups.create()
    const target = make()
    put(target.store, 'z', 'wanted')
    put(target.store, 'y', 'm7')
    const report = await target.backups.restore(file, { mode: 'replace', rules: 'keep' })
    expect(report.counts['test_plan']).toEqual({ create: 601, older_in_store: 1, remove: 1 })
    expect(target.store.get(planKind, 'a')?.value.name).toBe('wanted')
    expect(target.store.get(planKind, 'm7')?.value.name).toBe('m7')
    expect(target.store.get(planKind, 'z')?.value.name).toBe('other')
    // Where nobody gives it up, it is a conflict in the end, and not an endless one.
    const stuck = make()
    put(stuck.store, 'other', 'wanted')
    const refused = await stuck.backups.restore(file)
    expect(refused.counts['test_plan']).toEqual({ create: 601, conflict: 1 })
    expect(refused.examples['test_plan']?.conflict).toEqual([{ id: 'a' }])
  })

  it('replace leaves the kinds alone that the archive was not made of', async () => {
    const { store, backups } = make()
    const without = make(store, [...CORE_KINDS])
    const { file = '' } = await without.backups.create()
    store.commit(draft([{ kind: planKind, id: 'p', revision: 0, value: { name: 'nightly', enabled: true } }]))
    const report = await backups.restore(file, { mode: 'replace' })
    expect(report.removed).toBe(0)
    expect(store.get(planKind, 'p')?.value.enabled).toBe(true)
  })
})
