import { createHash } from 'node:crypto'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { PassThrough, Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { archived } from '../../src/backup/archived-kind.ts'
import { Backups, generateSecret, MemoryTokenStore, type TokenwrightOptions } from '../../src/index.ts'
import { seededRandom } from '../../src/testing/index.ts'
import type { Account } from '../../src/testing/store-suite/kit.ts'
import { accountKind, draft } from '../../src/testing/store-suite/kit.ts'
import { asUser } from '../file/other-user.ts'
import { DAY, HOUR, START, setUp } from '../issuing/fixture.ts'
import { archiveFolder, codeFrom, piecesOf } from './fixture.ts'

let files: ReturnType<typeof archiveFolder>
beforeEach(() => {
  files = archiveFolder()
})
afterEach(() => files.remove())

describe('where an archive goes', () => {
  it('a folder gets a file named by the time, mode 600, with nothing beside it', async () => {
    const { tokens, events } = setUp({ backups: { directory: files.folder, source: 'billing' } })
    await tokens.generate({ service: 'A' })
    const backup = await tokens.backups.create({ actor: 'cron', reason: 'nightly' })
    const [name = ''] = readdirSync(files.folder)
    expect(name).toMatch(/^tokenwright-20270101T000000000Z-[0-9A-Za-z]{8}\.twb$/)
    expect(backup).toMatchObject({ file: join(files.folder, name), source: 'billing', removed: [] })
    expect(statSync(files.at(name)).mode & 0o777).toBe(0o600)
    const bytes = readFileSync(files.at(name))
    expect([backup.bytes, backup.sha256]).toEqual([bytes.length, createHash('sha256').update(bytes).digest('hex')])
    const { archive, file, sha256 } = backup
    expect(await events.waitFor('backup.created')).toEqual({
      archive,
      file,
      bytes: bytes.length,
      sha256,
      tokenCount: 1,
      removed: [],
      at: START,
      actor: 'cron',
      reason: 'nightly',
    })
    await tokens.backups.create({ to: `${files.at('')}` })
    mkdirSync(files.at('other'))
    expect((await tokens.backups.create({ to: files.at('other') })).file).toMatch(/other\/tokenwright-/)
    expect(readdirSync(files.folder).length).toBe(3)
  })

  it('a path is replaced whole, and only by an archive that was read back', async () => {
    const { tokens, store } = setUp()
    await tokens.generate({ service: 'A' })
    writeFileSync(files.at('a.twb'), 'old')
    const failing = new Proxy(store, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (name !== 'scan') return typeof value === 'function' ? value.bind(target) : value
        return async function* () {
          yield []
          throw new Error('the store is gone')
        }
      },
    })
    const { tokens: broken } = setUp({ store: failing })
    await expect(broken.backups.create({ to: files.at('a.twb') })).rejects.toThrow('the store is gone')
    expect(readFileSync(files.at('a.twb'), 'utf8')).toBe('old')
    expect(readdirSync(files.folder)).toEqual(['a.twb'])
    await tokens.backups.create({ to: files.at('a.twb') })
    expect((await tokens.backups.verify(files.at('a.twb'))).tokenCount).toBe(1)
    expect(await codeFrom(() => tokens.backups.create({ to: files.at('none/a.twb') }))).toBe('ERR_ARCHIVE_IO')
    expect(await codeFrom(() => tokens.backups.create({ to: files.at('none/') }))).toBe('ERR_ARCHIVE_IO')
  })

  it('a web stream or a stream of Node gets the same bytes, at its own pace', async () => {
    const { tokens } = setUp()
    for (let i = 0; i < 400; i++) await tokens.generate({ service: `S${i}` })
    const pieces: Uint8Array[] = []
    const web = new WritableStream<Uint8Array>({
      async write(piece) {
        await new Promise((resolve) => setImmediate(resolve))
        pieces.push(piece)
      },
    })
    const backup = await tokens.backups.create({ to: web, compress: false })
    expect(backup.file).toBeUndefined()
    expect(createHash('sha256').update(Buffer.concat(pieces)).digest('hex')).toBe(backup.sha256)
    expect((await tokens.backups.verify(piecesOf(Buffer.concat(pieces)))).tokenCount).toBe(400)
    const through = new PassThrough({ highWaterMark: 10 })
    const [made, verified] = await Promise.all([
      tokens.backups.create({ to: through, compress: false }),
      tokens.backups.verify(through),
    ])
    expect(verified.archive).toBe(made.archive)
    // A web stream of bytes as source.
    const source = new Blob(pieces as Uint8Array<ArrayBuffer>[]).stream()
    expect((await tokens.backups.verify(source)).tokenCount).toBe(400)
  })

  it('a stream that fails is told as such, and one that is cut off by us is aborted', async () => {
    const { tokens, store } = setUp()
    for (let i = 0; i < 400; i++) await tokens.generate({ service: `S${i}` })
    const web = new WritableStream({
      write: () => {
        throw new Error('disk full')
      },
    })
    const node = new Writable({ write: (_piece, _encoding, done) => done(new Error('disk full')) })
    for (const to of [web, node]) {
      await expect(tokens.backups.create({ to })).rejects.toMatchObject({ code: 'ERR_ARCHIVE_IO' })
    }
    const reasons: unknown[] = []
    const aborted = new WritableStream({ abort: (reason) => void reasons.push(reason) })
    const gone = new Error('the store is gone')
    const scan: typeof store.scan = async function* () {
      yield []
      throw gone
    }
    store.scan = scan
    const backups = new Backups({ store, keys: generateSecret(seededRandom('fixture')) })
    await expect(backups.create({ to: aborted })).rejects.toBe(gone)
    expect(reasons).toEqual([gone])
    const reader = async function* (): AsyncGenerator<Uint8Array> {
      yield Buffer.from('twbackup')
      throw new Error('connection reset')
    }
    expect(await codeFrom(() => tokens.backups.verify(reader()))).toBe('ERR_ARCHIVE_IO')
    expect(await codeFrom(() => tokens.backups.restore(reader()))).toBe('ERR_ARCHIVE_IO')
    expect(await codeFrom(() => tokens.backups.restore(files.at('none.twb')))).toBe('ERR_ARCHIVE_IO')
  })

  it('a stream that has ended, or that somebody ends meanwhile, has not got the archive', async () => {
    const { tokens } = setUp()
    for (let i = 0; i < 400; i++) await tokens.generate({ service: `S${i}` })
    const ended = new PassThrough()
    ended.resume().end()
    await new Promise((resolve) => ended.once('close', resolve))
    expect(await codeFrom(() => tokens.backups.create({ to: ended }))).toBe('ERR_ARCHIVE_IO')
    const cut = new Writable({
      write(_piece, _encoding, done) {
        done()
        this.end()
      },
    })
    expect(await codeFrom(() => tokens.backups.create({ to: cut, compress: false }))).toBe('ERR_ARCHIVE_IO')
  })

  it('what killed runs left is swept, and what another run is writing is not', async () => {
    const { tokens } = setUp({ backups: { directory: files.folder } })
    const hex = (digit: string) => digit.repeat(24)
    const [dead, alive, foreign] = [
      `.tokenwright-2026.${hex('a')}.tmp`,
      `.tokenwright-2027.${hex('b')}.tmp`,
      `.x.${hex('c')}.tmp`,
    ]
    for (const name of [dead, alive, foreign]) writeFileSync(files.at(name), 'half')
    const old = Date.now() / 1000 - 2 * 3600
    for (const name of [dead, foreign]) utimesSync(files.at(name), old, old)
    await tokens.backups.create()
    const left = readdirSync(files.folder).filter((name) => name.endsWith('.tmp'))
    expect(left.sort()).toEqual([alive, foreign].sort())
  })
})

describe('retention', () => {
  const made = async (keep: NonNullable<TokenwrightOptions['backups']>['keep'], days: number) => {
    const { tokens, clock } = setUp({ backups: { directory: files.folder, keep } })
    for (let day = 0; day < days; day++) {
      await tokens.backups.create()
      await clock.advance(DAY)
    }
    return readdirSync(files.folder).length
  }

  it('keeps a number of the newest, those of a time, or whichever is more', async () => {
    expect(await made(3, 6)).toBe(3)
    files.remove()
    files = archiveFolder()
    expect(await made({ for: '36h' }, 6)).toBe(2)
    files.remove()
    files = archiveFolder()
    expect(await made({ last: 4, for: '36h' }, 6)).toBe(4)
    files.remove()
    files = archiveFolder()
    expect(await made(undefined, 6)).toBe(6)
  })

  it('removes what it knows as its own, and nothing else', async () => {
    const options = { backups: { directory: files.folder, keep: 1, source: 'billing' } }
    const { tokens, clock } = setUp(options)
    const other = setUp({ backups: { directory: files.folder, source: 'orders' } }, clock)
    const theirs = await other.tokens.backups.create()
    const first = await tokens.backups.create()
    const kept = {
      'tokenwright-20200101T000000000Z-aaaaaaaa.twb': 'not an archive',
      'tokenwright-20200101T000000000Z-aaaaaaaa.twb.bak': readFileSync(first.file as string),
      'mine.twb': readFileSync(first.file as string),
    }
    for (const [name, content] of Object.entries(kept)) writeFileSync(files.at(name), content)
    mkdirSync(files.at('tokenwright-20200101T000000000Z-bbbbbbbb.twb'))
    symlinkSync(files.at('mine.twb'), files.at('tokenwright-20200101T000000000Z-cccccccc.twb'))
    await clock.advance(HOUR)
    const second = await tokens.backups.create()
    expect(second.removed).toEqual([first.file])
    const names = readdirSync(files.folder).map((name) => files.at(name))
    expect(names.sort()).toEqual(
      [
        ...Object.keys(kept).map((name) => files.at(name)),
        files.at('tokenwright-20200101T000000000Z-bbbbbbbb.twb'),
        files.at('tokenwright-20200101T000000000Z-cccccccc.twb'),
        theirs.file as string,
        second.file as string,
      ].sort(),
    )
    // One that goes elsewhere retires nothing.
    expect((await tokens.backups.create({ to: files.at('x.twb') })).removed).toEqual([])
  })

  it('never takes the archive that was just made, nor any other, for the date of one from a wrong clock', async () => {
    const options = { backups: { directory: files.folder, keep: 1 } }
    const ahead = setUp(options)
    await ahead.clock.set(START + 4000 * DAY)
    const misdated = await ahead.tokens.backups.create()
    const { tokens, clock } = setUp(options)
    const first = await tokens.backups.create()
    expect(first.removed).toEqual([])
    expect(existsSync(first.file as string)).toBe(true)
    await clock.advance(DAY)
    const second = await tokens.backups.create()
    expect(second.removed).toEqual([first.file])
    expect([existsSync(second.file as string), existsSync(misdated.file as string)]).toEqual([true, true])
  })

  it('that fails is an event: the new archive stands', async () => {
    const { tokens, clock, events } = setUp({ backups: { directory: files.folder, keep: 1 } })
    const first = await tokens.backups.create()
    await clock.advance(HOUR)
    // Owned by another, in a folder where everybody removes only what is his own.
    chmodSync(files.folder, 0o1777)
    chmodSync(first.file as string, 0o644)
    await asUser({ folder: files.at('none'), path: files.at('none') }, async () => {
      const second = await tokens.backups.create()
      expect([existsSync(first.file as string), existsSync(second.file as string)]).toEqual([true, true])
      expect(second.removed).toEqual([])
    })
    expect(await events.waitFor('backup.pruneFailed')).toMatchObject({ directory: files.folder, code: 'EPERM' })
  })
})

describe('one point in time', () => {
  const restored = { ...accountKind, merge: (_here: Account | undefined, theirs: Account) => theirs }
  const kinds = [archived(restored, { all: ['rank'] })]
  const keys = 'a-ring-0123456789-abcdefghijklmnopqrstuvwxyz'
  const put = (id: string, rank: number) =>
    draft([{ kind: accountKind, id, revision: 0, value: { name: id, keys: [], rank } }])

  it('transfers between records while an archive is made leave its sum as it was', async () => {
    const store = new MemoryTokenStore()
    for (let i = 0; i < 1200; i++) store.commit(put(`a${i}`, 10))
    const backups = new Backups({ store, keys, kinds })
    let transfers = 0
    let going = true
    const transfer = async (): Promise<void> => {
      while (going) {
        const [a, b] = [transfers % 1200, (transfers * 7 + 1) % 1200]
        transfers += 1
        if (a !== b) {
          const [from, to] = [store.get(accountKind, `a${a}`), store.get(accountKind, `a${b}`)]
          const moved = (one: NonNullable<typeof from>, by: number) => ({
            kind: accountKind,
            id: one.id,
            revision: one.revision,
            value: { ...one.value, rank: one.value.rank + by },
          })
          if (from !== undefined && to !== undefined) store.commit(draft([moved(from, -1), moved(to, 1)]))
        }
        await new Promise((resolve) => setImmediate(resolve))
      }
    }
    const transferring = transfer()
    const backup = await backups.create({ to: files.at('a.twb') })
    going = false
    await transferring
    expect(backup.consistent).toBe(true)
    expect(transfers).toBeGreaterThan(10)
    const target = new MemoryTokenStore()
    await new Backups({ store: target, keys, kinds }).restore(files.at('a.twb'))
    const ranks: Account[] = []
    for await (const page of target.scan([accountKind]))
      for (const row of page) if ('value' in row) ranks.push(row.value as Account)
    expect([ranks.length, ranks.reduce((sum, { rank }) => sum + rank, 0)]).toEqual([1200, 12_000])
  })

  it('a store that shows none says so in the head, and its records come by a list', async () => {
    const { tokens, store } = setUp()
    const { token } = await tokens.generate({ service: 'A' })
    for (let i = 0; i < 600; i++) await tokens.generate({ service: `S${i}` })
    const plain = new Proxy(store, {
      get: (target, name) => {
        if (name === 'scan' || name === 'rows' || name === 'cell') return undefined
        const value: unknown = Reflect.get(target, name, target)
        if (name === 'durability') return () => ({ ...target.durability(), snapshot: false })
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const door = setUp({ store: plain })
    await door.tokens.revoke('S5')
    await door.tokens.cleanup({ retention: 0 })
    const backup = await door.tokens.backups.create({ to: files.at('a.twb') })
    expect(backup).toMatchObject({ consistent: false, tombstones: false, tokenCount: 600 })
    const other = setUp()
    await other.tokens.backups.restore(files.at('a.twb'))
    expect((await other.tokens.verify(token)).ok).toBe(true)
    // Such a store is restored into as well: what was removed there is found out when it refuses.
    const fresh = setUp()
    await fresh.tokens.generate({ service: 'A' })
    await fresh.tokens.backups.create({ to: files.at('b.twb') })
    expect((await door.tokens.backups.restore(files.at('b.twb'))).counts['token']).toEqual({ conflict: 1 })
    await other.tokens.revoke('S7')
    await other.tokens.cleanup({ retention: 0 })
    const { store: theirs } = other
    const blind = new Proxy(theirs, {
      get: (target, name) => {
        if (name === 'rows') return undefined
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    })
    const report = await setUp({ store: blind }).tokens.backups.restore(files.at('a.twb'))
    expect(report.counts['token']).toEqual({ identical: 599, would_revive: 1 })
    expect((await door.tokens.backups.restore(files.at('a.twb'))).counts['token']).toEqual({ identical: 600 })
  })
})

/** A web stream that somebody writes to already. */
function locked(): WritableStream<Uint8Array> {
  const stream = new WritableStream<Uint8Array>()
  stream.getWriter()
  return stream
}

/** A web stream that somebody reads already. */
function read(): ReadableStream<Uint8Array> {
  const stream = new ReadableStream<Uint8Array>()
  stream.getReader()
  return stream
}

describe('bad input', () => {
  it('is refused with the field named, before anything is written', async () => {
    const { tokens } = setUp({ backups: { directory: files.folder } })
    await tokens.generate({ service: 'A' })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb') })
    const calls: readonly (readonly [string, () => unknown])[] = [
      ['options', () => tokens.backups.create({ too: 'x' } as object)],
      ['to', () => tokens.backups.create({ to: '' })],
      ['to', () => tokens.backups.create({ to: 5 as unknown as string })],
      ['to', () => tokens.backups.create({ to: locked() })],
      ['compress', () => tokens.backups.create({ compress: 'yes' as unknown as boolean })],
      ['verify', () => tokens.backups.create({ verify: true, to: new WritableStream() })],
      ['include', () => tokens.backups.create({ include: { log: true } as object })],
      ['include.usage', () => tokens.backups.create({ include: { usage: 1 as unknown as boolean } })],
      ['key', () => tokens.backups.create({ key: 'none' })],
      ['passphrase', () => tokens.backups.create({ passphrase: 'short' })],
      ['passphrase', () => tokens.backups.create({ passphrase: 'x'.repeat(1025) })],
      ['passphrase', () => tokens.backups.create({ passphrase: 'long enough it is', key: 'a' })],
      ['actor', () => tokens.backups.create({ actor: '' })],
      ['source', () => tokens.backups.inspect('')],
      ['source', () => tokens.backups.inspect(7 as unknown as string)],
      ['source', () => tokens.backups.restore(files.folder)],
      ['source', () => tokens.backups.verify(read())],
      [
        'source',
        () =>
          tokens.backups.verify(
            (async function* () {
              yield 'text' as unknown as Uint8Array
            })(),
          ),
      ],
      ['options', () => tokens.backups.verify(file, { mode: 'merge' } as object)],
      ['options', () => tokens.backups.plan(file, { to: 'x' } as object)],
      ['mode', () => tokens.backups.restore(file, { mode: 'overwrite' as 'merge' })],
      ['rules', () => tokens.backups.restore(file, { rules: true as unknown as 'keep' })],
      ['reason', () => tokens.backups.restore(file, { reason: 'x'.repeat(2000) })],
      ['to', () => tokens.backups.rewrap(file, {} as { to: string })],
      ['under', () => tokens.backups.rewrap(file, { to: files.at('b.twb'), under: { pass: 'x' } as object })],
      ['from.passphrase', () => tokens.backups.rewrap(file, { to: files.at('b.twb'), from: { passphrase: 'x' } })],
      ['directory', () => setUp({ backups: { directory: '' } })],
      ['keep', () => setUp({ backups: { keep: 3 } })],
      ['keep', () => setUp({ backups: { directory: files.folder, keep: 0 } })],
      ['keep', () => setUp({ backups: { directory: files.folder, keep: {} } })],
      ['keep.for', () => setUp({ backups: { directory: files.folder, keep: { for: 'soon' as '1d' } } })],
      ['source', () => setUp({ backups: { source: '' } })],
      ['options', () => setUp({ backups: { folder: 'x' } as object })],
    ]
    for (const [field, call] of calls) {
      let refused: unknown
      try {
        await call()
      } catch (error) {
        refused = (error as { field?: unknown }).field ?? error
      }
      expect([String(call), refused]).toEqual([String(call), field])
    }
    expect(readdirSync(files.folder)).toEqual(['a.twb'])
  })
})
