import { fork } from 'node:child_process'
import { createCipheriv, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { backup, DatabaseSync } from 'node:sqlite'
import { FileTokenStore } from '../src/file/index.ts'
import { Backups } from '../src/index.ts'
import { buildPackage } from './built-package.ts'
import { type MillionFile, millionFile } from './million-file.ts'
import type { Report } from './result.ts'

const CHUNK = 65_536

interface Work {
  readonly ms: number
  /** The most that the process had that did the work. */
  readonly rssMb: number
  /** The most that the service's process had. */
  readonly hereMb: number
}

/** An archive of a million tokens in a file store, and its restore into another. */
export async function backupSection(report: Report): Promise<void> {
  buildPackage()
  const file = await millionFile()
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-archive-'))
  try {
    const archive = join(folder, 'a.twb')
    const plain = await plainBytes(file)
    const aesMs = rawAes(plain)
    const made = await inProcess('create', file.path, file.secret, archive)
    const sqliteMs = await sqliteBackup(file.path, join(folder, 'sqlite.db'))
    rmSync(join(folder, 'sqlite.db'))
    const fresh = (name: string): string => {
      mkdirSync(join(folder, name), { mode: 0o700 })
      return join(folder, name, 'tokens.db')
    }
    const perSecond = (ms: number): string => `${Math.round(plain / 1000 / ms)} MB/s`
    const size = `${Math.round(plain / 1e6)} MB of records, ${Math.round(statSync(archive).size / 1e6)} MB compressed`
    report('backup.create.aes', made.ms / aesMs, `${perSecond(made.ms)} beside ${perSecond(aesMs)}; ${size}`)
    const copied = Math.round(statSync(file.path).size / 1000 / sqliteMs)
    report('backup.create.sqlite', made.ms / sqliteMs, `which copies its pages as they are: ${copied} MB/s`)
    report('backup.create.rss', made.rssMb, 'of the whole process')
    const restored = await inProcess('restore', fresh('restored'), file.secret, archive)
    report('backup.restore.aes', restored.ms / aesMs, `${perSecond(restored.ms)}, every index anew, each commit synced`)
    report('backup.restore.here.rss', restored.rssMb, 'of the whole process, most of it the young generation')
    const bounded = await inProcess('restore', fresh('bounded'), file.secret, archive, true)
    const seconds = (ms: number): string => `${Math.round(ms / 1000)} s`
    const bySide = ({ hereMb, ms }: Work): string =>
      `of its process, beside ${Math.round(hereMb)} of the service's; ${seconds(ms)}`
    report('backup.restore.rss', bounded.rssMb, `${bySide(bounded)}, ${seconds(restored.ms)} without`)
    const replaced = await inProcess('replace', join(folder, 'bounded', 'tokens.db'), file.secret, archive, true)
    report('backup.replace.rss', replaced.rssMb, bySide(replaced))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** How many bytes the records of an archive are before they are compressed. */
async function plainBytes({ path, secret }: MillionFile): Promise<number> {
  const store = await FileTokenStore.open(path)
  const to = new WritableStream<Uint8Array>()
  const { bytes } = await new Backups({ store, keys: secret }).create({ to, compress: false })
  await store.close()
  return bytes
}

/** The time that AES-256-GCM alone takes for so many bytes, in chunks of the same size, ms. */
function rawAes(bytes: number): number {
  const [key, data] = [randomBytes(32), randomBytes(CHUNK)]
  const nonce = Buffer.alloc(12)
  const chunks = Math.ceil(bytes / CHUNK)
  const start = performance.now()
  for (let n = 0; n < chunks; n++) {
    nonce.writeUInt32BE(n)
    const cipher = createCipheriv('aes-256-gcm', key, nonce)
    cipher.update(data)
    cipher.final()
    cipher.getAuthTag()
  }
  return performance.now() - start
}

async function sqliteBackup(from: string, to: string): Promise<number> {
  const db = new DatabaseSync(from, { readOnly: true })
  const start = performance.now()
  await backup(db, to, { rate: 1000 })
  const ms = performance.now() - start
  db.close()
  return ms
}

/**
 * Runs one work in a process of its own: what is measured is what a host sees.
 *
 * @param worker - whether by a `BackupWorker`. Default: no
 */
async function inProcess(work: string, path: string, secret: string, archive: string, worker = false): Promise<Work> {
  const child = fork(new URL('./backup-process.mjs', import.meta.url), {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const answer = Promise.race([
    once(child, 'message') as Promise<[Work]>,
    once(child, 'exit').then(([code]) => {
      throw new Error(`the ${work} ended with ${code}`)
    }),
  ])
  child.send({ work, path, secret, archive, worker })
  const [result] = await answer
  await once(child, 'exit')
  return result
}
