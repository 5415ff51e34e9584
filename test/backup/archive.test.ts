import { readFileSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { MemoryTokenStore, Secret, Tokenwright } from '../../src/index.ts'
import { setUp } from '../issuing/fixture.ts'
import { archiveFolder, codeFrom, countWrites, piecesOf } from './fixture.ts'

const PASSPHRASE = 'correct horse battery staple'
const RING = [
  { id: 'new', secret: 'new-key-0123456789-abcdefghijklmnopqrstuv' },
  { id: 'old', secret: 'old-key-0123456789-abcdefghijklmnopqrstuv' },
]

let files: ReturnType<typeof archiveFolder>
beforeEach(() => {
  files = archiveFolder()
})
afterEach(() => files.remove())

/** An archive of so many tokens, and the door to the store that it was made of. */
async function archiveOf(tokens: number, more: object = {}) {
  const made = setUp({ keys: RING })
  for (let i = 0; i < tokens; i++)
    await made.tokens.generate({ service: `S${i}`, description: 'x'.repeat(1 + (i % 90)) })
  const backup = await made.tokens.backups.create({ to: files.at('a.twb'), ...more })
  return { ...made, backup, bytes: readFileSync(files.at('a.twb')) }
}

/** Tries to restore bytes into an empty store; answers the error's code and whether anything was written. */
async function attempt(bytes: Uint8Array, keys: typeof RING | string = RING, more: object = {}) {
  const { store, writes } = countWrites(new MemoryTokenStore())
  const tokens = new Tokenwright({ store, keys })
  await tokens.ready()
  writes.length = 0
  const code = await codeFrom(() => tokens.backups.restore(piecesOf(bytes, 7919), more))
  return { code, wrote: writes.length }
}

/** Where each chunk begins, of the bytes of an archive. */
function chunksOf(bytes: Buffer): { readonly from: number; readonly to: number }[] {
  let at = 8
  at += 4 + bytes.readUInt32BE(at)
  at += 4 + bytes.readUInt32BE(at)
  const chunks: { from: number; to: number }[] = []
  while (at < bytes.length) {
    const to = at + 4 + (bytes.readUInt32BE(at) % 2 ** 31) + 16
    chunks.push({ from: at, to })
    at = to
  }
  return chunks
}

/** The bytes with a part of the head changed. */
function withHead(bytes: Buffer, part: 'about' | 'slot', change: (value: Record<string, unknown>) => void): Buffer {
  const about = { at: 8, length: bytes.readUInt32BE(8) }
  const slot = { at: 12 + about.length, length: bytes.readUInt32BE(12 + about.length) }
  const { at, length } = part === 'about' ? about : slot
  const value = JSON.parse(bytes.toString('utf8', at + 4, at + 4 + length)) as Record<string, unknown>
  change(value)
  const json = Buffer.from(JSON.stringify(value))
  const size = Buffer.alloc(4)
  size.writeUInt32BE(json.length)
  return Buffer.concat([bytes.subarray(0, at), size, json, bytes.subarray(at + 4 + length)])
}

describe('an archive', () => {
  it('tells without a key what it is, and nothing of what it holds', async () => {
    const { tokens, bytes, clock } = await archiveOf(3)
    const info = await tokens.backups.inspect(files.at('a.twb'))
    expect(info).toMatchObject({ format: 1, createdAt: clock.now(), consistent: true, tombstones: true, keyId: 'new' })
    expect(info.schemas).toMatchObject({ token: 1, activity: 1, key: 1 })
    expect(await tokens.backups.inspect(piecesOf(bytes, 3))).toEqual(info)
    for (const secret of ['S1', 'digest', RING[0]?.secret ?? '']) expect(bytes.includes(secret)).toBe(false)
  })

  it('is whole when it verifies, and the same bytes are told by their SHA-256', async () => {
    const { tokens, backup } = await archiveOf(700)
    expect(backup).toMatchObject({ tokenCount: 700, keyId: 'new', counts: { records: { token: 700, activity: 700 } } })
    expect(backup.bytes).toBe(readFileSync(files.at('a.twb')).length)
    const { file: _f, bytes: _b, sha256, removed: _r, ...rest } = backup
    expect(sha256).toMatch(/^[0-9a-f]{64}$/)
    expect(await tokens.backups.verify(files.at('a.twb'))).toEqual(rest)
  })

  for (const compress of [true, false]) {
    it(`of any size up to some chunks comes back, ${compress ? 'compressed' : 'plain'}`, async () => {
      for (const count of [0, 1, 40, 300]) {
        const { bytes } = await archiveOf(count, { compress })
        const { tokens } = setUp({ keys: RING, store: new MemoryTokenStore() })
        const report = await tokens.backups.restore(piecesOf(bytes, 1 + count * 3))
        expect(report.counts['token']?.create ?? 0).toBe(count)
      }
    })
  }
})

describe('nothing is written of an archive', () => {
  it('with a byte changed, whichever', async () => {
    const { bytes } = await archiveOf(2)
    const codes = new Map<string, number>()
    for (let at = 0; at < bytes.length; at++) {
      for (const bit of [0x02, 0x80]) {
        const changed = Buffer.from(bytes)
        changed[at] = (changed[at] as number) ^ bit
        const { code, wrote } = await attempt(changed)
        expect([at, wrote, code.startsWith('ERR_ARCHIVE_')]).toEqual([at, 0, true])
        codes.set(code, (codes.get(code) ?? 0) + 1)
      }
    }
    expect(codes.get('ERR_ARCHIVE_CORRUPT')).toBeGreaterThan(bytes.length)
    expect([...codes.keys()].sort()).toEqual([
      'ERR_ARCHIVE_CORRUPT',
      'ERR_ARCHIVE_FOREIGN',
      'ERR_ARCHIVE_KEY',
      'ERR_ARCHIVE_NEWER',
      'ERR_ARCHIVE_TRUNCATED',
    ])
  }, 60_000)

  it('cut off after any byte', async () => {
    const { bytes } = await archiveOf(2)
    for (let length = 0; length < bytes.length; length++) {
      expect([length, await attempt(bytes.subarray(0, length))]).toEqual([
        length,
        { code: 'ERR_ARCHIVE_TRUNCATED', wrote: 0 },
      ])
    }
  }, 60_000)

  it('with chunks left out, swapped, repeated, or of another archive', async () => {
    const { bytes, tokens } = await archiveOf(1500, { compress: false })
    const chunks = chunksOf(bytes)
    expect(chunks.length).toBeGreaterThan(5)
    const head = bytes.subarray(0, chunks[0]?.from)
    const parts = chunks.map(({ from, to }) => bytes.subarray(from, to))
    const [a, b, ...rest] = parts as [Buffer, Buffer, ...Buffer[]]
    const last = parts.at(-1) as Buffer
    await tokens.backups.create({ to: files.at('other.twb'), compress: false })
    const other = readFileSync(files.at('other.twb'))
    const theirs = chunksOf(other).map(({ from, to }) => other.subarray(from, to))
    const forged: { readonly [what: string]: readonly [Buffer[], string] } = {
      'the first left out': [[b, ...rest], 'ERR_ARCHIVE_CORRUPT'],
      'one in the middle left out': [[a, ...rest], 'ERR_ARCHIVE_CORRUPT'],
      'the last left out': [parts.slice(0, -1), 'ERR_ARCHIVE_TRUNCATED'],
      'two swapped': [[b, a, ...rest], 'ERR_ARCHIVE_CORRUPT'],
      'one repeated': [[a, a, b, ...rest], 'ERR_ARCHIVE_CORRUPT'],
      'the last repeated': [[...parts, last], 'ERR_ARCHIVE_CORRUPT'],
      'all repeated': [[...parts, ...parts], 'ERR_ARCHIVE_CORRUPT'],
      'the last alone': [[last], 'ERR_ARCHIVE_CORRUPT'],
      'one of another archive': [[a, theirs[1] as Buffer, ...rest], 'ERR_ARCHIVE_CORRUPT'],
      'the body of another archive': [theirs as Buffer[], 'ERR_ARCHIVE_CORRUPT'],
    }
    for (const [what, [made, code]] of Object.entries(forged)) {
      expect([what, await attempt(Buffer.concat([head, ...made]))]).toEqual([what, { code, wrote: 0 }])
    }
  })

  it('whose head was changed', async () => {
    const { bytes } = await archiveOf(3)
    const forged: { readonly [what: string]: readonly [Buffer, string] } = {
      source: [withHead(bytes, 'about', (about) => Object.assign(about, { source: 'mine' })), 'ERR_ARCHIVE_CORRUPT'],
      time: [withHead(bytes, 'about', (about) => Object.assign(about, { createdAt: 1 })), 'ERR_ARCHIVE_CORRUPT'],
      compression: [withHead(bytes, 'about', (a) => Object.assign(a, { compression: 'none' })), 'ERR_ARCHIVE_CORRUPT'],
      schema: [withHead(bytes, 'about', (a) => Object.assign(a, { schemas: { token: 99 } })), 'ERR_ARCHIVE_CORRUPT'],
      format: [withHead(bytes, 'about', (about) => Object.assign(about, { format: 2 })), 'ERR_ARCHIVE_NEWER'],
      'key id': [withHead(bytes, 'slot', (slot) => Object.assign(slot, { key: 'old' })), 'ERR_ARCHIVE_KEY'],
      'an unknown key': [withHead(bytes, 'slot', (slot) => Object.assign(slot, { key: 'lost' })), 'ERR_ARCHIVE_KEY'],
      nonce: [withHead(bytes, 'slot', (s) => Object.assign(s, { nonce: 'A'.repeat(16) })), 'ERR_ARCHIVE_CORRUPT'],
      'way of wrapping': [
        withHead(bytes, 'slot', (slot) => Object.assign(slot, { by: 'passphrase', n: 2 ** 17, r: 8, p: 1 })),
        'ERR_ARCHIVE_KEY',
      ],
    }
    for (const [what, [made, code]] of Object.entries(forged)) {
      expect([what, await attempt(made)]).toEqual([what, { code, wrote: 0 }])
    }
  })

  it('of another sort, or of a newer version, with a word on which', async () => {
    const { tokens, bytes } = await archiveOf(1)
    for (const junk of ['', 'twback', 'PK\u0003\u0004 something else']) {
      const code = await codeFrom(() => tokens.backups.inspect(piecesOf(Buffer.from(junk))))
      expect(code).toBe('twbackup'.startsWith(junk) ? 'ERR_ARCHIVE_TRUNCATED' : 'ERR_ARCHIVE_FOREIGN')
    }
    const newer = withHead(bytes, 'about', (about) => Object.assign(about, { format: 7 }))
    await expect(tokens.backups.inspect(piecesOf(newer))).rejects.toThrow(
      'is of format 7, and this version knows up to 1',
    )
    const endless = Buffer.concat([Buffer.from('twbackup'), Buffer.alloc(4, 0xff), Buffer.alloc(100)])
    expect((await attempt(endless)).code).toBe('ERR_ARCHIVE_CORRUPT')
  })
})

describe('keys', () => {
  it('any key of the ring opens what was made under it, and the error names the one that is missing', async () => {
    const { bytes } = await archiveOf(1, { key: 'old' })
    expect((await attempt(bytes)).code).toBe('ok')
    const { tokens } = setUp({ keys: [RING[0] as (typeof RING)[0]] })
    await expect(tokens.backups.verify(piecesOf(bytes))).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_KEY',
      keyId: 'old',
      message: expect.stringContaining("under the key 'old', and the ring has only new"),
    })
    expect((await tokens.backups.verify(piecesOf(bytes), { keys: RING })).tokenCount).toBe(1)
    const same = [{ id: 'old', secret: 'another-key-0123456789-abcdefghijklmnopqr' }]
    await expect(tokens.backups.verify(piecesOf(bytes), { keys: same })).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_KEY',
      message: expect.stringContaining('another secret'),
    })
  })

  it('a passphrase opens what was made with it, however its letters were composed', async () => {
    const { bytes, tokens } = await archiveOf(1, { passphrase: new Secret(`${PASSPHRASE} \u00e9`) })
    expect((await tokens.backups.inspect(piecesOf(bytes))).keyId).toBeUndefined()
    expect((await attempt(bytes, RING, { passphrase: `${PASSPHRASE} e\u0301` })).code).toBe('ok')
    await expect(tokens.backups.verify(piecesOf(bytes), { passphrase: `${PASSPHRASE}!` })).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_KEY',
      message: expect.stringContaining('the passphrase is not the one'),
    })
    await expect(tokens.backups.verify(piecesOf(bytes))).rejects.toMatchObject({ code: 'ERR_ARCHIVE_KEY' })
    const ring = await archiveOf(1)
    await expect(ring.tokens.backups.verify(files.at('a.twb'), { passphrase: PASSPHRASE })).rejects.toMatchObject({
      code: 'ERR_ARCHIVE_KEY',
      message: expect.stringContaining('not with a passphrase'),
    })
  })

  it('a head can not ask for more work on a passphrase than is sane', async () => {
    const { bytes, tokens } = await archiveOf(1, { passphrase: PASSPHRASE })
    for (const cost of [{ n: 2 ** 30 }, { n: 2 ** 17 + 1 }, { n: 2 }, { r: 4096 }, { p: 1000 }]) {
      const forged = withHead(bytes, 'slot', (slot) => Object.assign(slot, cost))
      const started = performance.now()
      await expect(tokens.backups.verify(piecesOf(forged), { passphrase: PASSPHRASE })).rejects.toMatchObject({
        code: 'ERR_ARCHIVE_KEY',
        message: expect.stringContaining('other work'),
      })
      expect(performance.now() - started).toBeLessThan(100)
    }
  })

  it('are not exchanged for a copy in a stream that is not whole', async () => {
    const { tokens } = setUp()
    for (let i = 0; i < 400; i++) await tokens.generate({ service: `S${i}` })
    const { file = '' } = await tokens.backups.create({ to: files.at('a.twb'), compress: false })
    const whole = readFileSync(file)
    const changed = Buffer.from(whole)
    changed[whole.length - 40_000] = (changed[whole.length - 40_000] as number) ^ 1
    const sources = [
      [whole, 'ok'],
      [whole.subarray(0, -1), 'ERR_ARCHIVE_TRUNCATED'],
      [changed, 'ERR_ARCHIVE_CORRUPT'],
      [Buffer.concat([whole, Buffer.from('x')]), 'ERR_ARCHIVE_CORRUPT'],
    ] as const
    for (const [bytes, code] of sources) {
      const to = new WritableStream<Uint8Array>()
      expect(await codeFrom(() => tokens.backups.rewrap(piecesOf(bytes), { to }))).toBe(code)
    }
  })

  it('are exchanged without touching the body', async () => {
    const { tokens, bytes } = await archiveOf(50, { key: 'old' })
    const copy = await tokens.backups.rewrap(files.at('a.twb'), { to: files.at('b.twb') })
    expect(copy).toMatchObject({ keyId: 'new', file: files.at('b.twb') })
    const rewrapped = readFileSync(files.at('b.twb'))
    const [before, after] = [chunksOf(bytes)[0]?.from ?? 0, chunksOf(rewrapped)[0]?.from ?? 0]
    expect(rewrapped.subarray(after).equals(bytes.subarray(before))).toBe(true)
    expect((await attempt(rewrapped, [RING[0] as (typeof RING)[0]])).code).toBe('ok')
    await tokens.backups.rewrap(piecesOf(rewrapped), { to: files.at('c.twb'), under: { passphrase: PASSPHRASE } })
    expect((await tokens.backups.verify(files.at('c.twb'), { passphrase: PASSPHRASE })).tokenCount).toBe(50)
    await tokens.backups.rewrap(files.at('c.twb'), {
      to: files.at('d.twb'),
      from: { passphrase: PASSPHRASE },
      under: { keys: RING, key: 'old' },
    })
    expect((await tokens.backups.inspect(files.at('d.twb'))).keyId).toBe('old')
    // The first archive stays as it was, and a damaged one isn't given a new key and a clean name.
    expect(readFileSync(files.at('a.twb')).equals(bytes)).toBe(true)
    const damaged = Buffer.from(bytes)
    damaged[damaged.length - 20] = (damaged[damaged.length - 20] as number) ^ 1
    writeFileSync(files.at('e.twb'), damaged)
    const code = await codeFrom(() => tokens.backups.rewrap(files.at('e.twb'), { to: files.at('f.twb') }))
    expect(code).toBe('ERR_ARCHIVE_CORRUPT')
    expect(() => readFileSync(files.at('f.twb'))).toThrow('ENOENT')
  })
})
