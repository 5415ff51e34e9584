import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileTokenStore } from '../src/file/index.ts'
import { generateSecret, KeyRing, systemClock, systemRandom } from '../src/index.ts'
import { Commits } from '../src/stores/commit.ts'
import { type TokenRecord, tokenKind } from '../src/tokens/record.ts'
import { summarize } from './measure.ts'
import type { Report } from './result.ts'

const ENTRIES = 1_000_000
const PER_COMMIT = 200
const CALLERS = 64
const COMMITS = 64 * 30
/** Commits of one caller, each of which waits for the disk alone. */
const COMMITS_OF_ONE = 150

/** A token's record as unjournaled rows. */
const plainKind = { ...tokenKind, name: 'plain', journaled: false }

/** What the journal costs a durable commit, and what proving a long one takes. */
export async function journalSection(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-journal-'))
  const secret = generateSecret()
  try {
    const path64 = join(folder, 'append.db')
    report('journal.append', await appending(path64, secret, CALLERS, COMMITS), '64 callers, file store')
    const path1 = join(folder, 'append-one.db')
    report('journal.append.one', await appending(path1, secret, 1, COMMITS_OF_ONE), 'one caller, file store')
    const path = join(folder, 'long.db')
    await fill(path, secret)
    const { rss, seconds } = await verifying(path, secret)
    report(
      'journal.verify.rss',
      rss,
      `1,000,000 entries in ${seconds.toFixed(0)} s, beyond what the process has before`,
    )
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function commitsOf(store: FileTokenStore, secret: string): Commits {
  const journalKey = KeyRing.from(secret).subkey('journal')
  return new Commits({ store, journalKey, clock: systemClock(), random: systemRandom(), outbox: false })
}

function record(n: number): TokenRecord {
  const digest = Buffer.from(`${n}`.padStart(32, '0')).toString('base64url')
  return {
    id: `tok_${String(n).padStart(20, '0')}`,
    service: `service-${n}`,
    format: {
      type: 'api_key',
      prefix: 'sk_',
      length: 64,
      charset: 'alphanumeric',
      checksum: false,
      retrievable: false,
    } as never,
    policy: { level: 'standard', scopes: ['orders:read'] } as never,
    createdAt: 1_800_000_000_000 + n,
    versions: [
      { n: 1, state: 'current', createdAt: 1_800_000_000_000 + n, preview: 'sk_abcdef', digests: { k: digest } },
    ],
  }
}

async function appending(path: string, secret: string, callers: number, each: number) {
  const store = await FileTokenStore.open(path)
  const commits = commitsOf(store, secret)
  let n = 0
  const run = async (journaled: boolean) => {
    const start = performance.now()
    let left = each
    const caller = async () => {
      for (; left > 0; ) {
        left -= 1
        n += 1
        const value = record(n)
        if (journaled) {
          await commits.write({}, [
            { kind: tokenKind, id: value.id, revision: 0, to: { value }, action: 'token.generated' },
          ])
        } else await commits.put([{ kind: plainKind, id: value.id, value, expected: 0 }])
      }
    }
    await Promise.all(Array.from({ length: callers }, caller))
    return performance.now() - start
  }
  await run(true)
  await run(false)
  const ratios: number[] = []
  for (let i = 0; i < 7; i++) {
    const bare = await run(false)
    ratios.push((await run(true)) / bare)
  }
  await store.close()
  return summarize(ratios)
}

/** A journal of a million entries: each record is written again and again. */
async function fill(path: string, secret: string): Promise<void> {
  const store = await FileTokenStore.open(path)
  const commits = commitsOf(store, secret)
  const batches = ENTRIES / PER_COMMIT
  const groups = 50
  for (let batch = 0; batch < batches; batch++) {
    const group = batch % groups
    const revision = Math.floor(batch / groups)
    await commits.write(
      {},
      Array.from({ length: PER_COMMIT }, (_, i) => {
        const value = record(group * PER_COMMIT + i)
        return { kind: tokenKind, id: value.id, revision, to: { value }, action: 'token.updated' }
      }),
    )
  }
  await store.close()
}

async function verifying(path: string, secret: string): Promise<{ rss: number; seconds: number }> {
  const child = fork(new URL('./verify-journal.ts', import.meta.url), [path, secret], {
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const [message] = (await once(child, 'message')) as [{ rss: number; seconds: number }]
  await once(child, 'exit')
  return message
}
