import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { Secret } from '../kernel/secret.ts'
import type { VerifiedArchive } from './archive-info.ts'
import type { ArchiveKey } from './archive-key.ts'
import type { Backup } from './backup-maker.ts'
import type { CreateBackupOptions, PlanOptions, RestoreOptions } from './backup-options.ts'
import type { Backups, RestorePlan, RestoreReport } from './backups.ts'
import { BackupWorkerError } from './errors.ts'
import { type RelayedError, revived } from './relayed-error.ts'

/** What the module of a {@link BackupWorker} opens: a `Tokenwright`, or another that has its backups. */
export interface BackupHost {
  readonly backups: Pick<Backups, 'create' | 'verify' | 'plan' | 'restore'>
  /** Called when the work is done. */
  close?(): unknown
}

/** What a {@link BackupWorker} is made with. */
export interface BackupWorkerOptions {
  /** The file URL of the module whose default export, a function, opens the store and answers a {@link BackupHost}. */
  readonly module: URL | string
  /** How much may be alive in the process, MB: 16 to 65536. Default 64, which does for a store of any size. */
  readonly memoryMb?: number | undefined
  /** What Node is started with, such as `['--import', 'tsx']`. Default: nothing. */
  readonly execArgv?: readonly string[] | undefined
}

/** Options of {@link Backups} as they can be handed to another process: the ring is the one of its module. */
export type InProcess<Options> = Omit<Options, 'to' | 'keys'> & {
  /** Ends the work at once. What a restore has written until then stays: call it again. */
  readonly signal?: AbortSignal | undefined
}

/** Where an archive goes that another process makes. */
export interface ToPath {
  /** The path. Default: a new file in the `directory` of the backups that the module opens. */
  readonly to?: string | undefined
}

type Method = keyof BackupHost['backups']

/** What the process answers. */
type Answer = { readonly answer: unknown } | { readonly error: RelayedError }

const DEFAULT_MB = 64
/** The engine lets the young generation grow to 100 MB and more otherwise, whatever is alive. */
const FLAGS = ['--max-semi-space-size=4', '--disable-warning=ExperimentalWarning', '--input-type=module']

/** The process's own code: it does what one message says, and ends when nobody waits any more. Errors are sent as plain fields. */
const CODE = `
process.once('disconnect', () => process.exit(1))
process.once('message', async ({ module, method, args }) => {
  const told = await work(module, method, args).then((answer) => ({ answer }), (error) => ({ error: plain(error) }))
  process.send(told, () => process.exit(0))
})
async function work(module, method, args) {
  const { default: open } = await import(module)
  if (typeof open !== 'function') throw new TypeError('the default export is no function')
  const host = await open()
  try {
    return await host.backups[method](...args)
  } finally {
    await host.close?.()
  }
}
function plain(error) {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} }
  const { name, message, stack, cause } = error
  const fields = Object.fromEntries(Object.entries(error).filter(([, value]) => !['object', 'function', 'symbol'].includes(typeof value)))
  return { name, message, stack, fields, ...(cause instanceof Error && { cause: plain(cause) }) }
}
`

/**
 * Makes and restores archives in a process of its own, within bounded memory: the host's event loop goes on, its own memory doesn't
 * grow, and a restore of a million tokens takes little more than one of a thousand. For stores that several processes can open: files and
 * PostgreSQL.
 *
 * The process opens the store itself, by a module of the host's. Events are emitted there; instances that are open here see the
 * changes as they see those of any other process.
 *
 * @example
 * ```ts
 * // open-tokens.js
 * export default async () =>
 *   new Tokenwright({ store: await FileTokenStore.open('/var/lib/shop/tokens.db'), keys: process.env.TOKEN_KEYS })
 *
 * // anywhere
 * const backups = new BackupWorker({ module: new URL('./open-tokens.js', import.meta.url) })
 * await backups.restore('/backup/a.twb', { actor: 'alice', reason: 'disk lost' })
 * ```
 */
export class BackupWorker {
  readonly #module: string
  readonly #argv: readonly string[]

  /**
   * @param options - the module that opens the store, and how much memory may be used
   * @throws InvalidInputError for bad options
   */
  constructor(options: BackupWorkerOptions) {
    checkFields('options', options, ['module', 'memoryMb', 'execArgv'])
    const { module, memoryMb = DEFAULT_MB, execArgv = [] } = options
    const href = module instanceof URL ? module.href : module
    if (typeof href !== 'string' || !URL.canParse(href) || !href.startsWith('file:')) {
      throw new InvalidInputError('module', 'is no URL of a file', "give new URL('./open-tokens.js', import.meta.url)")
    }
    if (!Number.isSafeInteger(memoryMb) || memoryMb < 16 || memoryMb > 65_536) {
      throw new InvalidInputError('memoryMb', 'is no whole number from 16 to 65536', 'leave it out for 64')
    }
    if (!Array.isArray(execArgv) || execArgv.some((each) => typeof each !== 'string')) {
      throw new InvalidInputError('execArgv', 'is no list of texts', "write it as ['--import', 'tsx']")
    }
    this.#module = href
    this.#argv = [...FLAGS, `--max-old-space-size=${memoryMb}`, ...execArgv, '--eval', CODE]
  }

  /**
   * {@link Backups.create} in the process.
   *
   * @throws as there, with the same codes; BackupWorkerError when the module or the process fails
   */
  async create(options: InProcess<CreateBackupOptions> & ToPath = {}): Promise<Backup> {
    return (await this.#run('create', [], options)) as Backup
  }

  /**
   * {@link Backups.verify} in the process.
   *
   * @param file - the archive's path
   * @throws as there, with the same codes; BackupWorkerError when the module or the process fails
   */
  async verify(file: string, options: InProcess<ArchiveKey> = {}): Promise<VerifiedArchive> {
    return (await this.#run('verify', [path(file)], options)) as VerifiedArchive
  }

  /**
   * {@link Backups.plan} in the process.
   *
   * @param file - the archive's path
   * @throws as there, with the same codes; BackupWorkerError when the module or the process fails
   */
  async plan(file: string, options: InProcess<PlanOptions> = {}): Promise<RestorePlan> {
    return (await this.#run('plan', [path(file)], options)) as RestorePlan
  }

  /**
   * {@link Backups.restore} in the process.
   *
   * @param file - the archive's path
   * @throws as there, with the same codes; BackupWorkerError when the module or the process fails
   */
  async restore(file: string, options: InProcess<RestoreOptions> & ToPath = {}): Promise<RestoreReport> {
    return (await this.#run('restore', [path(file)], options)) as RestoreReport
  }

  async #run(method: Method, given: readonly string[], options: InProcess<RestoreOptions> & ToPath): Promise<unknown> {
    const { signal, passphrase, ...rest } = options
    if (rest.to !== undefined && typeof rest.to !== 'string') {
      throw new InvalidInputError('to', 'is no path, and nothing else can be handed to another process', 'give a path')
    }
    if ('keys' in rest) {
      const help = 'let the module open the store with it'
      throw new InvalidInputError('keys', 'is given, and a ring stays in its process', help)
    }
    signal?.throwIfAborted()
    const text = passphrase instanceof Secret ? passphrase.reveal() : passphrase
    const args = [...given, { ...rest, ...(text !== undefined && { passphrase: text }) }]
    // Where there are no processes, nothing else of this room should suffer.
    const { spawn } = await import('node:child_process')
    signal?.throwIfAborted()
    const child = spawn(process.execPath, this.#argv, {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
      serialization: 'advanced',
    })
    try {
      const answered = this.#answer(child, signal)
      // Where it isn't waited for, nobody need hear how the process ended.
      answered.catch(() => {})
      if (child.pid !== undefined) send(child, { module: this.#module, method, args })
      const answer = await answered
      if ('error' in answer) throw revived(answer.error, (error) => this.#failed(error))
      return answer.answer
    } finally {
      if (child.pid !== undefined && child.exitCode === null && child.signalCode === null) {
        const ended = once(child, 'exit')
        child.kill('SIGKILL')
        await ended
      }
    }
  }

  #answer(child: ChildProcess, signal: AbortSignal | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => reject(signal?.reason)
      signal?.addEventListener('abort', aborted, { once: true })
      const settled = (): void => signal?.removeEventListener('abort', aborted)
      child.once('message', (answer) => {
        settled()
        resolve(answer as Answer)
      })
      child.once('error', (error) => {
        settled()
        reject(this.#failed(error))
      })
      child.once('exit', (code, by) => {
        settled()
        const full = by === 'SIGABRT' || code === 134 ? ', most likely at the end of its memory' : ''
        reject(new BackupWorkerError(`the process ended (${by ?? code})${full}, before it had answered`))
      })
    })
  }

  #failed(error: Error): BackupWorkerError {
    return new BackupWorkerError(`${this.#module} failed`, error)
  }
}

/** What a process that has gone can't be sent is told by its end. */
function send(child: ChildProcess, message: object): void {
  try {
    child.send(message, () => {})
  } catch (error) {
    const what = `hold something that can't be handed to another process (${codeOf(error)})`
    throw new InvalidInputError('options', what, 'give plain values')
  }
}

function path(file: unknown): string {
  if (typeof file === 'string' && file !== '') return file
  const help = 'give the path of the archive'
  throw new InvalidInputError('file', 'is no path, and nothing else can be handed to another process', help)
}
