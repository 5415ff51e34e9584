import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileTokenStore } from '../src/file/index.ts'
import {
  type Commit,
  type CommitResult,
  type Expectation,
  Generator,
  generateSecret,
  type JournalEntry,
  KeyRing,
  MemoryTokenStore,
  type Write,
} from '../src/index.ts'
import { tokenInput } from './population.ts'

/** A file with a million tokens, and how to use some of them. */
export interface MillionFile {
  readonly path: string
  readonly secret: string
  /** Spread evenly over the file. */
  readonly texts: readonly string[]
}

const TOKENS = 1_000_000
const KEPT = 4096
/** Tokens in one commit while the file is built. */
const TOGETHER = 1000
/** The tokens live 30 days. */
const USABLE_MS = 20 * 86_400_000

/**
 * The file, built when it isn't there: some minutes, and about 2 GB in the folder for temporary files. A change of the
 * schema, of the record or of the tokens makes another.
 */
export async function millionFile(): Promise<MillionFile> {
  const sources = [
    '../src/file/schema.ts',
    '../src/tokens/record.ts',
    '../src/tokens/stored-token.ts',
    './population.ts',
    './million-file.ts',
  ]
  const hash = createHash('sha256')
  for (const source of sources) hash.update(readFileSync(new URL(source, import.meta.url)))
  const folder = join(tmpdir(), `tokenwright-bench-${hash.digest('hex').slice(0, 12)}`)
  const about = join(folder, 'about.json')
  if (existsSync(about)) {
    const known = JSON.parse(readFileSync(about, 'utf8')) as MillionFile & { builtAt: number }
    if (Date.now() - known.builtAt < USABLE_MS) return known
  }
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { mode: 0o700 })
  const built = await build(join(folder, 'tokens.db'))
  writeFileSync(about, JSON.stringify({ ...built, builtAt: Date.now() }), { mode: 0o600 })
  return built
}

async function build(path: string): Promise<MillionFile> {
  const secret = generateSecret()
  // Nobody else reads the file meanwhile, and if the machine stops it is built anew: no need to wait for the disk.
  const connected = (db: { exec(sql: string): void }) =>
    db.exec('PRAGMA synchronous = OFF; PRAGMA cache_size = -262144')
  const store = await FileTokenStore.openWith(path, {}, { connected })
  const collector = new Collector()
  const generator = new Generator({ store: collector, keys: KeyRing.from(secret) })
  const texts: string[] = []
  for (let i = 0; i < TOKENS; i++) {
    const { token } = await generator.generate(tokenInput(i))
    if (Math.floor(((i + 1) * KEPT) / TOKENS) > texts.length) texts.push(token)
    if (collector.size >= TOGETHER) await store.commit(collector.take())
  }
  if (collector.size > 0) await store.commit(collector.take())
  await store.close()
  return { path, secret, texts }
}

/** A store that keeps nothing: it puts the commits that it is asked for together to larger ones. */
export class Collector extends MemoryTokenStore {
  #commits: Commit[] = []

  get size(): number {
    return this.#commits.length
  }

  override commit(commit: Commit): CommitResult {
    // What a service writes about itself it may read back; tokens it only adds.
    if (commit.write.every((write) => write.kind.name !== 'token')) return super.commit(commit)
    this.#commits.push(commit)
    return { revisions: commit.write.map(() => 1), replayed: false }
  }

  /** The commits since the last time, one by one. */
  takeEach(): Commit[] {
    const taken = this.#commits
    this.#commits = []
    return taken
  }

  /** The same as one commit. */
  take(): Commit {
    const commits = this.takeEach()
    const expect: Expectation[] = []
    const write: Write[] = []
    const journal: JournalEntry[] = []
    for (const commit of commits) {
      expect.push(...commit.expect)
      write.push(...commit.write)
      journal.push(...commit.journal)
    }
    const { id, link } = commits[0] as Commit
    return { id, expect, write, journal, ...(link && { link }) }
  }
}
