import type { ResourceLimits, Worker } from 'node:worker_threads'
import { InvalidInputError } from '../kernel/errors.ts'
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
  /** How much may be alive in the worker, MB: 16 to 65536. Default 64, which does for a store of any size. */
  readonly memoryMb?: number | undefined
}

/** Options of {@link Backups} as they can be handed to a thread: the ring is the one of its module. */
export type InThread<Options> = Omit<Options, 'to' | 'keys'> & {
  /** Ends the work at once. What a restore has written until then stays: call it again. */
  readonly signal?: AbortSignal | undefined
}

/** Where an archive goes that a thread makes. */
export interface ToPath {
  /** The path. Default: a new file in the `directory` of the backups that the module opens. */
  readonly to?: string | undefined
}

type Method = keyof BackupHost['backups']

/** What the thread answers. */
type Answer = { readonly answer: unknown } | { readonly error: RelayedError }

const DEFAULT_MB = 64
/** The engine lets it grow to 100 MB and more otherwise, whatever is alive. */
const YOUNG_MB = 4

/** The thread's own code. It tells of errors what a clone would lose. */
const THREAD = `
const { parentPort, workerData } = require('node:worker_threads')
const { module, method, args } = workerData
const plain = (error) => {
  if (!(error instanceof Error)) return { name: 'Error', message: String(error), fields: {} }
  const { name, message, stack, cause } = error
  const fields = Object.fromEntries(Object.entries(error).filter(([, value]) => !['object', 'function'].includes(typeof value)))
  return { name, message, stack, fields, ...(cause instanceof Error && { cause: plain(cause) }) }
}
const work = async () => {
  const { default: open } = await import(module)
  if (typeof open !== 'function') throw new TypeError('the default export is no function')
  const host = await open()
  try {
    return await host.backups[method](...args)
  } finally {
    await host.close?.()
  }
}
work().then((answer) => parentPort.postMessage({ answer }), (error) => parentPort.postMessage({ error: plain(error) }))
`

/**
 * Makes and restores archives in a thread of its own, within bounded memory: the host's event loop goes on, and a restore of a
 * million tokens takes no more than one of a thousand. For stores that a second instance can open: files and PostgreSQL.
 *
 * The thread opens the store itself, by a module of the host's. Events are emitted there; instances that are open here see the
 * changes as they see those of another process.
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
  readonly #limits: ResourceLimits

  /**
   * @param options - the module that opens the store, and how much memory may be used
   * @throws InvalidInputError for bad options
   */
  constructor(options: BackupWorkerOptions) {
    checkFields('options', options, ['module', 'memoryMb'])
    const { module, memoryMb = DEFAULT_MB } = options
    const href = module instanceof URL ? module.href : module
    if (typeof href !== 'string' || !URL.canParse(href) || !href.startsWith('file:')) {
      throw new InvalidInputError('module', 'is no URL of a file', "give new URL('./open-tokens.js', import.meta.url)")
    }
    if (!Number.isSafeInteger(memoryMb) || memoryMb < 16 || memoryMb > 65_536) {
      throw new InvalidInputError('memoryMb', 'is no whole number from 16 to 65536', 'leave it out for 64')
    }
    this.#module = href
    this.#limits = { maxYoungGenerationSizeMb: YOUNG_MB, maxOldGenerationSizeMb: memoryMb }
  }

  /**
   * {@link Backups.create} in the thread.
   *
   * @throws as there, with the same codes; BackupWorkerError when the module or the thread fails
   */
  async create(options: InThread<CreateBackupOptions> & ToPath = {}): Promise<Backup> {
    return (await this.#run('create', [], options)) as Backup
  }

  /**
   * {@link Backups.verify} in the thread.
   *
   * @param file - the archive's path
   * @throws as there, with the same codes; BackupWorkerError when the module or the thread fails
   */
  async verify(file: string, options: InThread<ArchiveKey> = {}): Promise<VerifiedArchive> {
    return (await this.#run('verify', [path(file)], options)) as VerifiedArchive
  }

  /**
   * {@link Backups.plan} in the thread.
   *
   * @param file - the archive's path
   * @throws as there, with the same codes; BackupWorkerError when the module or the thread fails
   */
  async plan(file: string, options: InThread<PlanOptions> = {}): Promise<RestorePlan> {
    return (await this.#run('plan', [path(file)], options)) as RestorePlan
  }

  /**
   * {@link Backups.restore} in the thread.
   *
   * @param file - the archive's path
   * @throws as there, with the same codes; BackupWorkerError when the module or the thread fails
   */
  async restore(file: string, options: InThread<RestoreOptions> & ToPath = {}): Promise<RestoreReport> {
    return (await this.#run('restore', [path(file)], options)) as RestoreReport
  }

  async #run(method: Method, given: readonly string[], options: InThread<RestoreOptions> & ToPath): Promise<unknown> {
    const { signal, passphrase, ...rest } = options
    if (rest.to !== undefined && typeof rest.to !== 'string') {
      throw new InvalidInputError('to', 'is no path, and nothing else can be handed to a thread', 'give a path')
    }
    if ('keys' in rest) {
      throw new InvalidInputError(
        'keys',
        'is given, and a ring stays in its thread',
        'let the module open the store with it',
      )
    }
    signal?.throwIfAborted()
    const text = passphrase instanceof Secret ? passphrase.reveal() : passphrase
    const args = [...given, { ...rest, ...(text !== undefined && { passphrase: text }) }]
    // Where there are no threads, nothing else of this room should suffer.
    const threads = await import('node:worker_threads')
    const workerData = { module: this.#module, method, args }
    const worker = new threads.Worker(THREAD, { eval: true, workerData, resourceLimits: this.#limits })
    try {
      const answer = await this.#answer(worker, signal)
      if ('error' in answer)
        throw revived(answer.error, (error) => new BackupWorkerError(`${this.#module} failed`, error))
      return answer.answer
    } finally {
      await worker.terminate()
    }
  }

  #answer(worker: Worker, signal: AbortSignal | undefined): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const aborted = (): void => reject(signal?.reason)
      signal?.addEventListener('abort', aborted, { once: true })
      worker.once('message', resolve)
      worker.once('error', (error) => {
        const full = (error as { readonly code?: unknown }).code === 'ERR_WORKER_OUT_OF_MEMORY'
        const what = full ? 'the thread came to the end of its memory' : `${this.#module} failed`
        reject(new BackupWorkerError(what, error))
      })
      worker.once('exit', (code) => {
        signal?.removeEventListener('abort', aborted)
        reject(new BackupWorkerError(`the thread ended with ${code} before it had answered`))
      })
    })
  }
}

function path(file: unknown): string {
  if (typeof file === 'string' && file !== '') return file
  throw new InvalidInputError(
    'file',
    'is no path, and nothing else can be handed to a thread',
    'give the path of the archive',
  )
}
