import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { open, rename, unlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import {
  AtomicWriteError,
  atomicWriter,
  type FileSystem,
  removeAbandoned,
  type WritableFile,
  writeFileAtomic,
} from '../../src/kernel/atomic-file.ts'

/** For scripts that run in a process of their own. */
const MODULE = JSON.stringify(new URL('../../src/kernel/atomic-file.ts', import.meta.url).href)

let folder: string
let path: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'atomic-'))
  path = join(folder, 'state.json')
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

async function failure(writing: Promise<void>): Promise<AtomicWriteError> {
  const error = await writing.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(AtomicWriteError)
  return error as AtomicWriteError
}

describe('writeFileAtomic', () => {
  it('writes, replaces, and leaves nothing beside', async () => {
    await writeFileAtomic(path, 'gr\u00fcn')
    expect(readFileSync(path, 'utf8')).toBe('gr\u00fcn')
    await writeFileAtomic(path, new Uint8Array([1, 2, 3]))
    expect([...readFileSync(path)]).toEqual([1, 2, 3])
    await writeFileAtomic(path, '')
    expect(readFileSync(path, 'utf8')).toBe('')
    const big = Buffer.alloc(5_000_000, 'x')
    await writeFileAtomic(path, big)
    expect(readFileSync(path).equals(big)).toBe(true)
    expect(readdirSync(folder)).toEqual(['state.json'])
  })

  it('gives exactly the mode asked for, whatever the umask and the file before', async () => {
    const old = process.umask(0o777)
    try {
      await writeFileAtomic(path, 'x')
      expect(statSync(path).mode & 0o777).toBe(0o600)
      await writeFileAtomic(path, 'x', { mode: 0o644 })
      expect(statSync(path).mode & 0o777).toBe(0o644)
    } finally {
      process.umask(old)
    }
    await writeFileAtomic(path, 'x')
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('lets one of many writers win whole', async () => {
    const contents = Array.from({ length: 20 }, (_, i) => String(i).repeat(50_000))
    await Promise.all(contents.map((content) => writeFileAtomic(path, content)))
    expect(contents).toContain(readFileSync(path, 'utf8'))
    expect(readdirSync(folder)).toEqual(['state.json'])
  })

  it('replaces a symbolic link and leaves its target alone', async () => {
    const target = join(folder, 'target')
    writeFileSync(target, 'target')
    symlinkSync(target, path)
    await writeFileAtomic(path, 'mine')
    expect(readFileSync(target, 'utf8')).toBe('target')
    expect(readFileSync(path, 'utf8')).toBe('mine')
  })

  it('takes names as long as the system does', async () => {
    const long = join(folder, '\u{1f600}'.repeat(63))
    await writeFileAtomic(long, 'x')
    expect(readFileSync(long, 'utf8')).toBe('x')
  })

  it('names file and code when the folder is missing, and never the content', async () => {
    const error = await failure(writeFileAtomic(join(folder, 'no', 'state.json'), 'sk_canary'))
    expect(error).toMatchObject({ code: 'ERR_ATOMIC_WRITE', errno: 'ENOENT', replaced: false, retryable: true })
    expect(error.message).toContain(
      `${join(folder, 'no', 'state.json')} could not be written: writing failed (ENOENT); the file is as it was`,
    )
    expect(JSON.stringify(error) + error.message).not.toContain('sk_canary')
  })

  it('leaves a folder of that name alone', async () => {
    const error = await failure(writeFileAtomic(folder, 'x'))
    expect(error.replaced).toBe(false)
    expect(statSync(folder).isDirectory()).toBe(true)
  })
})

// write-file-atomic 8.0.0 reported success here and left a truncated file in place of the good one.
it('keeps the old content on a disk that takes only a part (a file size limit stands in for a full disk)', () => {
  writeFileSync(path, 'old')
  const script = `
    import { writeFileAtomic } from ${MODULE}
    try {
      await writeFileAtomic(${JSON.stringify(path)}, Buffer.alloc(100_000, 'n'))
      console.log('success')
    } catch (error) {
      console.log(error.code, error.errno, error.replaced)
    }`
  const limited = ['-c', 'ulimit -f 16; exec "$0" --input-type=module -e "$1"', process.execPath, script]
  expect(execFileSync('sh', limited, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] })).toBe(
    'ERR_ATOMIC_WRITE EFBIG false\n',
  )
  expect(readFileSync(path, 'utf8')).toBe('old')
  expect(readdirSync(folder)).toEqual(['state.json'])
})

describe('a failing file system', () => {
  const STEPS = [
    'open',
    'chmod',
    'write',
    'stat',
    'sync',
    'close',
    'rename',
    'openFolder',
    'syncFolder',
    'closeFolder',
  ] as const
  type Step = (typeof STEPS)[number]

  /** The real one; the given step does something else. */
  function faulty(step: Step, fault: () => unknown, platform = 'linux'): { files: FileSystem; log: string[] } {
    const log: string[] = []
    const doing = async <T>(name: string, work: () => Promise<T>): Promise<T> => {
      log.push(name)
      return name === step ? ((await fault()) as T) : await work()
    }
    const files: FileSystem = {
      platform,
      async open(name, flags, mode) {
        const where = flags === 'r' ? 'Folder' : ''
        const handle = await doing(`open${where}`, () => open(name, flags, mode))
        const file: WritableFile = {
          // Small bites, so that the loop is needed.
          write: (data, offset, length) => doing('write', () => handle.write(data, offset, Math.min(length, 3))),
          chmod: (bits) => doing('chmod', () => handle.chmod(bits)),
          stat: () => doing('stat', () => handle.stat()),
          sync: () => doing(`sync${where}`, () => handle.sync()),
          close: async () => {
            await handle.close()
            await doing(`close${where}`, async () => {})
          },
        }
        return file
      },
      rename: (from, to) => doing('rename', () => rename(from, to)),
      unlink: (name) => doing('unlink', () => unlink(name)),
    }
    return { files, log }
  }

  const eio = () => {
    throw Object.assign(new Error('EIO: i/o error'), { code: 'EIO' })
  }

  it('works step by step in the right order', async () => {
    const { files, log } = faulty('open', eio)
    await failure(atomicWriter(files)(path, 'new content'))
    expect(log).toEqual(['open'])
    const good = faulty('unlink' as Step, eio)
    await atomicWriter(good.files)(path, '12345')
    expect(good.log).toEqual([
      'open',
      'chmod',
      'write',
      'write',
      'stat',
      'sync',
      'close',
      'rename',
      'openFolder',
      'syncFolder',
      'closeFolder',
    ])
    expect(readFileSync(path, 'utf8')).toBe('12345')
  })

  it.each(STEPS)('holds the old or the new, whole, when %s fails, and says which', async (step) => {
    writeFileSync(path, 'old')
    const error = await failure(atomicWriter(faulty(step, eio).files)(path, 'new content'))
    expect(error.errno).toBe('EIO')
    expect(error.replaced).toBe(step.endsWith('Folder'))
    expect(readFileSync(path, 'utf8')).toBe(error.replaced ? 'new content' : 'old')
    expect(readdirSync(folder)).toEqual(['state.json'])
  })

  it('distrusts a disk that confirms more than it keeps', async () => {
    writeFileSync(path, 'old')
    for (const [step, answer] of [
      ['write', { bytesWritten: 11 }],
      ['write', { bytesWritten: 0 }],
      ['stat', { size: 10 }],
    ] as const) {
      const error = await failure(atomicWriter(faulty(step, () => answer).files)(path, 'new content'))
      expect(error.message).toContain('the disk took less than it confirmed')
      expect(error.errno).toBeUndefined()
      expect(readFileSync(path, 'utf8')).toBe('old')
      expect(readdirSync(folder)).toEqual(['state.json'])
    }
  })

  it("doesn't need to sync folders on Windows, and only there", async () => {
    const eperm = () => {
      throw Object.assign(new Error('EPERM'), { code: 'EPERM' })
    }
    for (const step of ['openFolder', 'syncFolder'] as const) {
      await atomicWriter(faulty(step, eperm, 'win32').files)(path, 'new')
      expect((await failure(atomicWriter(faulty(step, eperm).files)(path, 'new'))).replaced).toBe(true)
      expect((await failure(atomicWriter(faulty(step, eio, 'win32').files)(path, 'new'))).replaced).toBe(true)
    }
  })
})

it('holds whole contents under SIGKILL', async () => {
  const script = `
    import { writeFileAtomic } from ${MODULE}
    for (let i = 0; ; i++) {
      await writeFileAtomic(${JSON.stringify(path)}, String(i % 10).repeat(200_000))
      console.log(i)
    }`
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
      stdio: ['ignore', 'pipe', 'ignore'],
    })
    let writes = 0
    child.stdout.on('data', () => {
      writes += 1
      if (writes === 1 + round * 3) child.kill('SIGKILL')
    })
    const [, signal] = await once(child, 'exit')
    expect(signal).toBe('SIGKILL')
    const content = readFileSync(path, 'utf8')
    expect(content).toHaveLength(200_000)
    expect(new Set(content).size).toBe(1)
  }
}, 30_000)

describe('content piece by piece', () => {
  async function* pieces(...texts: string[]): AsyncGenerator<Uint8Array> {
    for (const text of texts) yield Buffer.from(text)
  }

  it('is written whole, after a look at it under its temporary name', async () => {
    const seen: string[] = []
    await writeFileAtomic(path, pieces('ab', '', 'cd'), {
      mode: 0o640,
      check: (temporary) => {
        expect(existsSync(path)).toBe(false)
        seen.push(readFileSync(temporary, 'utf8'))
      },
    })
    expect(seen).toEqual(['abcd'])
    expect(readFileSync(path, 'utf8')).toBe('abcd')
    expect(statSync(path).mode & 0o777).toBe(0o640)
  })

  it('leaves the old, and nothing else, when its source or the look at it fails, with their own error', async () => {
    writeFileSync(path, 'old')
    const own = new Error('mine')
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield Buffer.from('ab')
      throw own
    }
    await expect(writeFileAtomic(path, failing())).rejects.toBe(own)
    await expect(writeFileAtomic(path, pieces('ab'), { check: () => Promise.reject(own) })).rejects.toBe(own)
    expect(readFileSync(path, 'utf8')).toBe('old')
    expect(readdirSync(folder)).toEqual(['state.json'])
  })

  it('what a killed writer left is removed once nobody has written to it for a while, and nothing else is', async () => {
    const hex = 'a1'.repeat(12)
    const old = ['.state.json.', '.state-2.json.'].map((name) => `${name}${hex}.tmp`)
    const kept = [`.other.json.${hex}.tmp`, `.state.json.${hex}`, `.state.json.${hex.slice(1)}.tmp`, 'state.json']
    for (const name of [...old, ...kept, `.state.json.${'b2'.repeat(12)}.tmp`]) writeFileSync(join(folder, name), '')
    mkdirSync(join(folder, `.state.${'c3'.repeat(12)}.tmp`))
    const hourAgo = Date.now() / 1000 - 3600
    for (const name of readdirSync(folder)) {
      if (!name.includes('b2b2')) utimesSync(join(folder, name), hourAgo, hourAgo)
    }
    expect(await removeAbandoned(folder, 'state', 3_000_000)).toBe(2)
    expect(readdirSync(folder).sort()).toEqual(
      [...kept, `.state.json.${'b2'.repeat(12)}.tmp`, `.state.${'c3'.repeat(12)}.tmp`].sort(),
    )
    expect(await removeAbandoned(folder, 'state', 3_000_000)).toBe(0)
  })
})
