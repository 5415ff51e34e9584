import { readFileSync, truncateSync, writeFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/index.ts'
import {
  ArchiveError,
  ArchiveKeyError,
  ArchiveTruncatedError,
  BackupWorker,
  BackupWorkerError,
  generateSecret,
  InvalidInputError,
  Secret,
  Tokenwright,
  TokenwrightError,
} from '../../src/index.ts'
import { startChild } from '../child-process.ts'
import { archiveFolder, contents } from './fixture.ts'

const MODULE = new URL('./children/open-tokens.ts', import.meta.url)
const PASSPHRASE = 'correct horse battery staple'

let files: ReturnType<typeof archiveFolder>
let keys: string
beforeEach(() => {
  files = archiveFolder()
  keys = generateSecret()
  process.env['TEST_KEYS'] = keys
})
afterEach(() => files.remove())

/** A file store with so many tokens, which the module opens too. */
async function storeOf(tokens: number, name = 'tokens.db') {
  process.env['TEST_STORE'] = files.at(name)
  const store = await FileTokenStore.open(files.at(name))
  const door = new Tokenwright({ store, keys })
  let token = ''
  for (let i = 0; i < tokens; i++) token = (await door.generate({ service: `S${i}` })).token
  return { store, tokens: door, token }
}

async function errorOf(promise: Promise<unknown>): Promise<TokenwrightError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(TokenwrightError)
  return error as TokenwrightError
}

/** A module of a test's own. */
function moduleOf(code: string): BackupWorker {
  const path = files.at('module.mjs')
  writeFileSync(path, code)
  return new BackupWorker({ module: pathToFileURL(path) })
}

describe('a BackupWorker', () => {
  it('makes, checks, plans and restores as the store itself does; who has it open sees what came back', async () => {
    const backups = new BackupWorker({ module: MODULE })
    const lost = await storeOf(300, 'lost.db')
    const made = await backups.create({ to: files.at('a.twb'), actor: 'cron' })
    expect(made).toMatchObject({ tokenCount: 300, file: files.at('a.twb'), removed: [] })
    expect(await backups.verify(files.at('a.twb'))).toEqual(await lost.tokens.backups.verify(files.at('a.twb')))
    const kept = await contents(lost.store)
    await lost.tokens.close()

    const { store, tokens } = await storeOf(0)
    expect((await tokens.verify(lost.token)).ok).toBe(false)
    expect(await backups.plan(files.at('a.twb'))).toEqual(await tokens.backups.plan(files.at('a.twb')))
    const report = await backups.restore(files.at('a.twb'), {
      mode: 'replace',
      to: files.at('before.twb'),
      actor: 'alice',
    })
    expect(report).toMatchObject({ mode: 'replace', written: 600, refused: 0, before: files.at('before.twb') })
    expect(await contents(store)).toEqual(kept)
    expect((await tokens.verify(lost.token)).ok).toBe(true)
    const [entry] = (await tokens.audit.query({ limit: 1 })).items
    expect(entry).toMatchObject({ action: 'token.restored', actor: 'alice' })
    await tokens.close()
  })

  it('throws what was thrown there: class, code, message, help and fields', async () => {
    const { tokens } = await storeOf(3)
    const backups = new BackupWorker({ module: MODULE })
    const path = files.at('a.twb')
    await tokens.backups.create({ to: path, passphrase: PASSPHRASE })
    const wrong = { passphrase: 'another passphrase of some words' }
    const [there, here] = [
      await errorOf(backups.verify(path, wrong)),
      await errorOf(tokens.backups.verify(path, wrong)),
    ]
    expect(there).toBeInstanceOf(ArchiveKeyError)
    expect(there.toJSON()).toEqual(here.toJSON())
    expect(inspect([there, there.toJSON()], { depth: 9, showHidden: true })).not.toContain('another passphrase')
    // A secret is sent as it is, and stays one here.
    expect(await backups.verify(path, { passphrase: new Secret(PASSPHRASE) })).toMatchObject({ tokenCount: 3 })
    truncateSync(path, readFileSync(path).length - 10)
    expect(await errorOf(backups.restore(path, { passphrase: PASSPHRASE }))).toBeInstanceOf(ArchiveTruncatedError)
    expect(await errorOf(backups.plan(files.at('none')))).toBeInstanceOf(ArchiveError)
    const unknown = await errorOf(backups.restore(path, { mod: 'merge' } as never))
    expect(unknown.toJSON()).toMatchObject({ name: 'InvalidInputError', code: 'ERR_INVALID_INPUT' })
    await tokens.close()
  })

  it('refuses what can’t be handed to a process, before it starts one', async () => {
    const backups = new BackupWorker({ module: 'file:///none.js' })
    for (const work of [
      () => backups.create({ to: new WritableStream() as never }),
      () => backups.verify(new Uint8Array(3) as never),
      () => backups.plan('a.twb', { keys: 'x' } as never),
      async () => new BackupWorker({ module: './none.js' }),
      async () => new BackupWorker({ module: 'data:text/javascript,export default 1' }),
      async () => new BackupWorker({ module: 'file:///none.js', memoryMb: 1 }),
      async () => new BackupWorker({ module: 'file:///none.js', memory: 64 } as never),
      async () => new BackupWorker({ module: 'file:///none.js', execArgv: '--import tsx' as never }),
    ]) {
      await expect(work()).rejects.toThrow(InvalidInputError)
    }
  })

  it('refuses options that can’t be sent, and leaves no rejection that nobody hears', async () => {
    const unheard: unknown[] = []
    const hear = (reason: unknown): void => void unheard.push(reason)
    process.on('unhandledRejection', hear)
    try {
      const backups = moduleOf('export default () => new Promise(() => {})')
      const error = await errorOf(backups.create({ include: { journal: () => true } as never }))
      expect(error).toMatchObject({ code: 'ERR_INVALID_INPUT', field: 'options' })
      await new Promise((resolve) => setImmediate(resolve))
      expect(unheard).toEqual([])
    } finally {
      process.off('unhandledRejection', hear)
    }
  })

  it('is ended by a signal that comes before there is a process', async () => {
    const controller = new AbortController()
    const creating = moduleOf('export default () => ({ backups: { create: async () => 1 } })').create({
      signal: controller.signal,
    })
    controller.abort(new Error('enough'))
    await expect(creating).rejects.toThrow('enough')
  })

  it('tells when the module fails, and with what', async () => {
    const absent = await errorOf(new BackupWorker({ module: 'file:///nowhere/none.js' }).create())
    expect(absent).toBeInstanceOf(BackupWorkerError)
    expect(absent.message).toContain('file:///nowhere/none.js failed')
    expect(absent.cause).toMatchObject({ code: 'ERR_MODULE_NOT_FOUND' })
    for (const [code, message] of [
      ['export const open = 1', 'the default export is no function'],
      ['export default () => { throw new RangeError("mine", { cause: new Error("below") }) }', 'mine'],
      ['export default () => ({})', 'Cannot read properties of undefined'],
    ] as const) {
      const failed = await errorOf(moduleOf(code).create({ to: files.at('b.twb') }))
      expect(failed).toBeInstanceOf(BackupWorkerError)
      expect(String((failed.cause as Error).message)).toContain(message)
    }
    const thrown = await errorOf(moduleOf('export default () => { throw "a text" }').create())
    expect((thrown.cause as Error).message).toBe('a text')
    const gone = await errorOf(moduleOf('export default () => process.exit(3)').create())
    expect(gone.message).toContain('the process ended (3), before it had answered')
    const late = 'export default () => { setTimeout(() => { throw new Error("late") }); return new Promise(() => {}) }'
    expect((await errorOf(moduleOf(`${late}; setInterval(() => {}, 1000)`).create())).message).toContain('ended (1)')
  })

  it('tells when the process takes too much memory', async () => {
    const greedy = moduleOf('export default () => { const all = []; for (;;) all.push({ of: [all.length] }) }')
    const error = await errorOf(greedy.create())
    expect(error.message).toContain('most likely at the end of its memory')
  })

  it('ends when the service is killed that waits for it', async () => {
    const service = startChild('backup/children/wait-for-worker.ts')
    await service.printed(1)
    expect(Number(service.lines[0])).not.toBe(service.process.pid)
    service.process.kill('SIGKILL')
    // Its output ends when the last process that has it is gone.
    await service.ended
  })

  it('closes what the module opened, also after a failure', async () => {
    const host = `import { appendFileSync } from 'node:fs'
      export default () => ({
        backups: { create: async ({ fail }) => { if (fail) throw new Error('no'); return 1 } },
        close: () => appendFileSync(${JSON.stringify(files.at('closed'))}, 'x'),
      })`
    expect(await moduleOf(host).create()).toBe(1)
    await errorOf(moduleOf(host).create({ fail: true } as never))
    expect(readFileSync(files.at('closed'), 'utf8')).toBe('xx')
  })

  it('is ended by a signal; a restore goes on where it was', async () => {
    const lost = await storeOf(3000, 'lost.db')
    await lost.tokens.backups.create({ to: files.at('a.twb') })
    const kept = await contents(lost.store)
    await lost.tokens.close()
    const { store, tokens } = await storeOf(0)
    const backups = new BackupWorker({ module: MODULE })
    await expect(backups.restore(files.at('a.twb'), { signal: AbortSignal.abort() })).rejects.toThrow('abort')
    const controller = new AbortController()
    const restoring = backups.restore(files.at('a.twb'), { signal: controller.signal })
    const stopped = expect(restoring).rejects.toThrow('enough')
    while ((await contents(store)).size === 0) await new Promise((resolve) => setTimeout(resolve, 2))
    controller.abort(new Error('enough'))
    await stopped
    const some = await contents(store)
    expect(some.size).toBeLessThan(kept.size)
    const { written } = await backups.restore(files.at('a.twb'))
    expect(written).toBe(kept.size - some.size)
    expect(await contents(store)).toEqual(kept)
    await tokens.close()
  })
})
