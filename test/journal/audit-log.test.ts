import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/index.ts'
import { type Checkpoint, InvalidInputError, MemoryTokenStore, type TokenStore, verifyExport } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'

const KEYS = 'a secret for the journal, 0123456789 abcdefghij'

/** A store in a file, and its bytes for whoever wants to change them by hand. */
async function file(life: (world: ReturnType<typeof setUp>) => Promise<void>) {
  const folder = await mkdtemp(join(tmpdir(), 'tokenwright-journal-'))
  const path = join(folder, 'tokens.db')
  const clock = fakeClock({ now: START })
  const world = setUp({ store: await FileTokenStore.open(path, { clock }), keys: KEYS }, clock)
  await life(world)
  await world.tokens.close()
  /** Changes the file by SQL, as somebody with write access does, and verifies it. */
  const tampered = async (sql: string, options: { checkpoint?: Checkpoint | undefined; records?: boolean } = {}) => {
    const db = new DatabaseSync(path)
    db.exec(`BEGIN; ${sql}`)
    db.exec('COMMIT')
    db.close()
    const { tokens } = setUp({ store: await FileTokenStore.open(path, { clock }), keys: KEYS }, clock)
    try {
      return await tokens.audit.verify(options)
    } finally {
      await tokens.close()
    }
  }
  return { path, clock, tampered, end: () => rm(folder, { recursive: true }) }
}

async function someLife({ tokens, clock }: ReturnType<typeof setUp>): Promise<void> {
  for (const service of ['A', 'B', 'C']) await tokens.generate({ service, actor: 'alice', reason: 'first' })
  await clock.advance('1h')
  await tokens.rotate('A', { actor: 'bob', grace: '1h' })
  await tokens.disable('B', { actor: 'bob' })
  await clock.advance('1h')
  await tokens.update('C', { description: 'x', actor: 'carol' })
  await tokens.revoke('A', { actor: 'carol', reason: 'left' })
}

describe('audit.query', () => {
  it('finds entries by subject, action, actor, time, kind and risk, both ways, page by page', async () => {
    const world = setUp()
    await someLife(world)
    const { tokens } = world
    const told = async (query: object) =>
      (await tokens.audit.query(query)).items.map(({ action, actor }) => `${actor} ${action}`)
    expect(await told({ actor: 'bob' })).toEqual(['bob token.rotated', 'bob token.disabled'])
    expect(await told({ action: 'token.revoked' })).toEqual(['carol token.revoked'])
    expect(await told({ risk: 'high' })).toEqual(['carol token.revoked'])
    expect(await told({ action: 'token.', from: START + HOUR, to: START + 2 * HOUR })).toEqual([
      'bob token.rotated',
      'bob token.disabled',
    ])
    expect(await told({ kind: 'rule' })).toEqual([])
    const id = (await tokens.get('C'))?.id as string
    expect(await told({ subject: id, reverse: true })).toEqual(['carol token.updated', 'alice token.generated'])
    const first = await tokens.audit.query({ limit: 4 })
    expect(first.items.map(({ seq }) => seq)).toEqual([1, 2, 3, 4])
    const rest = await tokens.audit.query({ limit: 4, cursor: first.cursor })
    expect(rest.items.map(({ seq }) => seq)).toEqual([5, 6, 7])
    expect(await told({ reverse: true, limit: 2 })).toEqual(['carol token.revoked', 'carol token.updated'])
    expect(rest.items[2]).toMatchObject({ risk: 'high', reason: 'left' })
  })

  it('refuses what can’t be used', async () => {
    const { tokens } = setUp()
    for (const query of [
      { limit: 0 },
      { risk: 'huge' },
      { actor: '' },
      { cursor: 'x' },
      { from: 'soon' },
      { who: 'a' },
    ]) {
      await expect(tokens.audit.query(query as never), JSON.stringify(query)).rejects.toThrow(InvalidInputError)
    }
  })

  it('finds an instant by halving in a long journal', async () => {
    const { tokens, clock, store } = setUp()
    await tokens.generate({ service: 'A' })
    for (let i = 0; i < 2500; i++) {
      await clock.advance('1m')
      await (i % 2 === 0 ? tokens.disable('A') : tokens.enable('A'))
    }
    let reads = 0
    const journal = store.journal.bind(store)
    store.journal = (query) => {
      reads += 1
      return journal(query)
    }
    const { items } = await tokens.audit.query({ from: START + 2000 * 60_000, to: START + 2003 * 60_000 })
    expect(items.map(({ at }) => (at - START) / 60_000)).toEqual([2000, 2001, 2002])
    expect(reads).toBeLessThan(20)
  })
})

describe('audit.verify', () => {
  it('proves a journal and its records', async () => {
    const world = setUp()
    await someLife(world)
    const checkpoint = await world.tokens.audit.checkpoint()
    expect(await world.tokens.audit.verify({ checkpoint, records: true })).toEqual({
      ok: true,
      entries: 7,
      from: 0,
      sealedTo: 7,
      unsealed: 0,
      records: 3,
    })
  })

  it('names the first entry that was edited, removed, inserted, moved, or linked anew', async () => {
    const cases: [string, string, object][] = [
      ['edit', `UPDATE journal SET body = replace(body, 'bob', 'eve') WHERE seq = 4`, { problem: 'changed', seq: 4 }],
      [
        'edit of a reason',
        `UPDATE journal SET body = replace(body, 'left', 'lost') WHERE seq = 7`,
        { problem: 'changed', seq: 7 },
      ],
      ['remove', 'DELETE FROM journal WHERE seq = 3', { problem: 'gap', seq: 3 }],
      [
        'remove, and close the gap',
        'DELETE FROM journal WHERE seq = 3; UPDATE journal SET seq = seq - 1 WHERE seq > 3',
        { problem: 'moved', seq: 3 },
      ],
      ['remove the first', 'DELETE FROM journal WHERE seq = 1', { problem: 'gap', seq: 1 }],
      [
        'insert a copy',
        'INSERT INTO journal SELECT seq + 1, kind, subject, mac, body FROM journal WHERE seq = 7',
        { problem: 'moved', seq: 8 },
      ],
      [
        'reorder',
        'UPDATE journal SET seq = 100 WHERE seq = 2; UPDATE journal SET seq = 2 WHERE seq = 3; UPDATE journal SET seq = 3 WHERE seq = 100',
        { problem: 'moved', seq: 2 },
      ],
      ['another place', `UPDATE journal SET mac = 'AAAA' WHERE seq = 5`, { problem: 'moved', seq: 5 }],
    ]
    for (const [what, sql, firstBad] of cases) {
      const { tampered, end } = await file(someLife)
      try {
        const found = await tampered(sql)
        expect(found, what).toMatchObject({ ok: false, firstBad })
      } finally {
        await end()
      }
    }
  })

  it('shows a tail that was cut only with a checkpoint, and a record that was put back', async () => {
    let checkpoint: Checkpoint | undefined
    const make = () =>
      file(async (world) => {
        await someLife(world)
        checkpoint = await world.tokens.audit.checkpoint()
      })
    const cut = await make()
    const sql = 'DELETE FROM journal WHERE seq > 5'
    expect(await cut.tampered(sql)).toMatchObject({ ok: true, sealedTo: 5 })
    expect(await cut.tampered(sql, { checkpoint })).toMatchObject({ ok: false, firstBad: { problem: 'cut', seq: 6 } })
    // A record that was put back with its entries cut: the chain is whole, the checkpoint isn't in it.
    expect(await cut.tampered(sql, { records: true })).toMatchObject({ ok: false, firstBad: { problem: 'record' } })
    await cut.end()

    const edited = await make()
    const widened = `UPDATE row SET body = replace(body, '"description":"x"', '"description":"y"')`
    expect(await edited.tampered(widened, { checkpoint })).toMatchObject({ ok: true })
    expect(await edited.tampered(widened, { checkpoint, records: true })).toMatchObject({
      ok: false,
      firstBad: { problem: 'record' },
    })
    await edited.end()
  })

  it('finds a second chain: entries after a point that a checkpoint saw otherwise', async () => {
    let checkpoint: Checkpoint | undefined
    const { tampered, path, clock, end } = await file(async (world) => {
      await someLife(world)
      checkpoint = await world.tokens.audit.checkpoint()
    })
    expect(await tampered('DELETE FROM journal WHERE seq > 6', { checkpoint })).toMatchObject({ ok: false })
    // The library itself, with its keys, goes on from the cut: a fork whose every entry is well made.
    const { tokens } = setUp({ store: await FileTokenStore.open(path, { clock }), keys: KEYS }, clock)
    await tokens.generate({ service: 'D' })
    await tokens.generate({ service: 'E' })
    expect(await tokens.audit.verify()).toMatchObject({ ok: true, sealedTo: 8 })
    expect(await tokens.audit.verify({ checkpoint })).toMatchObject({ ok: false, firstBad: { problem: 'cut', seq: 7 } })
    await tokens.close()
    await end()
  })

  it('refuses checkpoints that nobody of the ring has signed, and those made for another use', async () => {
    const world = setUp()
    await someLife(world)
    const { tokens, events } = world
    const checkpoint = await tokens.audit.checkpoint()
    for (const forged of [
      { ...checkpoint, seq: 3 },
      { ...checkpoint, mac: 'x' },
      { ...checkpoint, key: 'other' },
      { ...checkpoint, signature: '' },
    ]) {
      expect(await tokens.audit.verify({ checkpoint: forged })).toMatchObject({
        ok: false,
        firstBad: { problem: 'signature' },
      })
    }
    expect(await events.waitFor('journal.broken')).toMatchObject({ bad: { problem: 'signature' } })
    await expect(tokens.audit.verify({ checkpoint: 'x' as never })).rejects.toThrow(InvalidInputError)
  })

  it('knows entries of every key of the ring', async () => {
    const first = { id: 'one', secret: 'a secret of 2026, 0123456789 abcdefghijk' }
    const second = { id: 'two', secret: 'another of 2027, 9876543210 zyxwvutsrqpo' }
    const { tokens, store, clock } = setUp({ keys: [first] })
    await tokens.generate({ service: 'A' })
    const { tokens: next } = setUp({ store, keys: [second, first] }, clock)
    await next.rotate('A')
    await next.generate({ service: 'B' })
    expect(await next.audit.verify({ records: true })).toMatchObject({ ok: true, entries: 3, records: 2 })
  })

  it('begins where a store that keeps only the newest begins', async () => {
    const clock = fakeClock({ now: START })
    const store = new MemoryTokenStore({ clock, journalLimit: 5 })
    const { tokens } = setUp({ store }, clock)
    for (let i = 0; i < 12; i++) await tokens.generate({ service: `S${i}` })
    expect(await tokens.audit.verify()).toMatchObject({ ok: true, entries: 5, sealedTo: 12 })
  })
})

describe('checkpoints and retention', () => {
  it('tick makes a checkpoint each hour in which something happened', async () => {
    const { tokens, clock, events } = setUp()
    const count = () => events.names().filter((name) => name === 'journal.checkpoint').length
    await tokens.generate({ service: 'A' })
    await tokens.tick()
    expect(count()).toBe(0)
    await clock.advance('1h')
    await tokens.tick()
    await tokens.tick()
    expect(count()).toBe(1)
    await clock.advance('1h')
    await tokens.tick()
    expect(count()).toBe(1)
    await tokens.disable('A')
    await clock.advance('1h')
    await tokens.tick()
    expect(count()).toBe(2)
  })

  it('lets go of old entries so that the rest stays provable, and says that it did', async () => {
    const world = setUp()
    await someLife(world)
    const { tokens, clock, store } = world
    const early = await tokens.audit.checkpoint()
    await clock.advance('10d')
    await tokens.generate({ service: 'D' })
    await tokens.generate({ service: 'E' })
    expect(await tokens.audit.prune({ olderThan: '5d', actor: 'ops' })).toEqual({ removed: 7, from: 7, more: false })
    expect((await store.journal({ limit: 100 })).map(({ seq, action }) => [seq, action])).toEqual([
      [8, 'token.generated'],
      [9, 'token.generated'],
      [10, 'journal.pruned'],
    ])
    expect(await tokens.audit.verify()).toMatchObject({ ok: true, entries: 3, from: 7, sealedTo: 10 })
    expect(await tokens.audit.verify({ checkpoint: early })).toMatchObject({ ok: true })
    expect(await tokens.audit.prune({ olderThan: '5d' })).toMatchObject({ removed: 0, from: 7 })
    // More than what was let go of is missing.
    await store.pruneJournal?.(8, 10)
    expect(await tokens.audit.verify()).toMatchObject({ ok: false, firstBad: { problem: 'gap', seq: 8 } })
  })

  it('does so by itself after the retention', async () => {
    const { tokens, clock } = setUp({ audit: { retention: '30d' } })
    await tokens.generate({ service: 'A' })
    await clock.advance('31d')
    await tokens.generate({ service: 'B' })
    await tokens.tick()
    expect((await tokens.audit.query()).items.map(({ action }) => action)).toEqual([
      'token.generated',
      'journal.pruned',
    ])
    expect(() => setUp({ audit: { retention: 1000 } })).toThrow(InvalidInputError)
    expect(() => setUp({ audit: { checkpointEvery: 5 } })).toThrow(InvalidInputError)
  })

  it('a file whose old entries another process let go of is seen as changed', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tokenwright-journal-'))
    const open = () => FileTokenStore.open(join(folder, 'tokens.db'), { crossProcessStaleness: 0 })
    const [here, there] = [await open(), await open()]
    const { tokens } = setUp({ store: here, keys: KEYS })
    const { tokens: others } = setUp({ store: there, keys: KEYS })
    const { token } = await tokens.generate({ service: 'A' })
    expect((await tokens.verify(token)).ok).toBe(true)
    await others.disable('A')
    for (let i = 0; i < 5; i++) await others.generate({ service: `S${i}` })
    await there.pruneJournal(6, 100)
    expect(await tokens.verify(token)).toMatchObject({ code: 'disabled' })
    await tokens.close()
    await others.close()
    await rm(folder, { recursive: true })
  })
})

describe('export', () => {
  const read = async (source: AsyncIterable<string>) => {
    let text = ''
    for await (const piece of source) text += piece
    return text
  }

  it('is proved with the key ring alone, and any changed byte is found', async () => {
    const world = setUp({ keys: KEYS })
    await someLife(world)
    const text = await read(world.tokens.audit.export())
    expect(text.trimEnd().split('\n')).toHaveLength(8)
    expect(await verifyExport([text], KEYS)).toMatchObject({ ok: true, entries: 7, checkpoint: { seq: 7 } })
    const slices = text.match(/[\s\S]{1,7}/g) ?? []
    expect(await verifyExport(slices, KEYS)).toMatchObject({ ok: true, entries: 7 })
    for (let at = 0; at < text.length; at++) {
      const code = text.charCodeAt(at)
      const changed = text.slice(0, at) + String.fromCharCode(code === 0x7e ? 0x21 : code ^ 1) + text.slice(at + 1)
      const { ok } = await verifyExport([changed], KEYS)
      expect(ok, `byte ${at}: ${text.slice(at - 10, at + 10)}`).toBe(false)
    }
    for (let end = 0; end < text.length - 1; end += 13) {
      expect((await verifyExport([text.slice(0, end)], KEYS)).ok).toBe(false)
    }
    expect((await verifyExport([text + text], KEYS)).ok).toBe(false)
    expect((await verifyExport([text], `${KEYS} another`)).ok).toBe(false)
  })

  it('can begin later', async () => {
    const world = setUp({ keys: KEYS })
    await someLife(world)
    const checkpoint = await world.tokens.audit.checkpoint()
    await world.tokens.generate({ service: 'D' })
    const text = await read(world.tokens.audit.export({ after: checkpoint.seq }))
    expect(await verifyExport([text], KEYS, checkpoint)).toMatchObject({ ok: true, entries: 1 })
    expect(await verifyExport([text], KEYS)).toMatchObject({ ok: false })
  })
})

describe('any store', () => {
  it('without a way to let go of entries says so', async () => {
    const { pruneJournal: _, ...plain } = { ...proxy(new MemoryTokenStore()), pruneJournal: undefined }
    const { tokens } = setUp({ store: plain as TokenStore })
    await expect(tokens.audit.prune({ olderThan: '1d' })).rejects.toMatchObject({ code: 'ERR_PRUNE_UNSUPPORTED' })
    expect(() => setUp({ store: plain as TokenStore, audit: { retention: '30d' } })).toThrow('let go')
    expect(DAY).toBe(86_400_000)
  })
})

function proxy(store: MemoryTokenStore): TokenStore {
  const names = [
    'get',
    'find',
    'list',
    'commit',
    'journal',
    'journalHead',
    'addUsage',
    'usage',
    'time',
    'durability',
    'close',
  ] as const
  return Object.fromEntries(
    names.map((name) => [name, (store[name] as (...args: never[]) => unknown).bind(store)]),
  ) as never
}
