import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { parseRateLimits } from '../src/access/rate-limits.ts'
import { type Commit, Generator, generateSecret, KeyRing, systemClock, systemRandom } from '../src/index.ts'
import { Connections } from '../src/postgres/connections.ts'
import { PostgresRateLimiter, PostgresTokenStore } from '../src/postgres/index.ts'
import { KindRegistry } from '../src/postgres/kind-registry.ts'
import { namesOf } from '../src/postgres/names.ts'
import type { PgKind } from '../src/postgres/pg-kind.ts'
import { statementsOf } from '../src/postgres/statements.ts'
import { eventKind } from '../src/stores/outbox.ts'
import { tokenKind } from '../src/tokens/record.ts'
import { loadPostgres } from './load-postgres.ts'
import { measure, median, rawHmac, type Subject, summarize } from './measure.ts'
import { Collector } from './million-file.ts'
import { callContext, tokenInput } from './population.ts'
import { type CommitRows, rawCommit, rowsOf } from './raw-commit.ts'
import type { Report, Skip } from './result.ts'
import { revocations } from './revocation.ts'
import { BenchDatabase, missingServer, POSTGRES } from './servers.ts'
import { trackedVerifier } from './verify.ts'

const SMALL = 10_000
const LARGE = 1_000_000
/** How many distinct tokens the calls come with. */
const KEPT = 4096
/** Of how many texts a verifier remembers the proof, where each is to be a first sight. */
const REMEMBERED = 64
const ROUNDS = 15
const ROUND_MS = 500

/** Everything about the store in PostgreSQL. */
export async function postgresSection(report: Report, skip: Skip): Promise<void> {
  const missing = await missingServer('PostgreSQL', POSTGRES.host, POSTGRES.port)
  if (missing !== undefined) {
    skip(missing)
    return
  }
  const database = new BenchDatabase()
  try {
    const { pool } = database
    const secret = generateSecret()
    const keys = KeyRing.from(secret)
    const schema = database.schema('10k')
    const small = await loadPostgres(pool, schema, keys, SMALL, KEPT)
    await warm(report, small, keys)
    await cold(report, small, keys, pool, schema)
    await commits(report, database, keys)
    await limiter(report, pool, schema)
    await twoProcesses(report, { schema, secret, texts: small.texts })
    for (const [id, changes] of [
      ['postgres.revocation.listen', 'listen'],
      ['postgres.revocation.stale', undefined],
    ] as const) {
      await revocations(report, id, { schema, secret, changes })
    }
  } finally {
    await database.end()
  }
}

/** The same with a million tokens as with ten thousand. */
export async function postgresMillionSection(report: Report, skip: Skip): Promise<void> {
  const missing = await missingServer('PostgreSQL', POSTGRES.host, POSTGRES.port)
  if (missing !== undefined) {
    skip(missing)
    return
  }
  const database = new BenchDatabase()
  try {
    const keys = KeyRing.from(generateSecret())
    const small = await loadPostgres(database.pool, database.schema('10k'), keys, SMALL, KEPT)
    const large = await loadPostgres(database.pool, database.schema('1m'), keys, LARGE, KEPT)
    await sizes(report, small, large, keys)
  } finally {
    await database.end()
  }
}

type Loaded = Awaited<ReturnType<typeof loadPostgres>>

async function warm(report: Report, { store, texts }: Loaded, keys: KeyRing): Promise<void> {
  const { verifier } = trackedVerifier(store, keys, undefined, '1h')
  for (const text of texts) {
    const answer = await verifier.verify(text, callContext())
    if (!answer.ok) throw new Error(`the benchmark measures refusals: ${answer.code}`)
  }
  const run = (i: number) => verifier.verify(texts[i % texts.length], callContext())
  const h = rawHmac(keys.subkey('digest'), texts)
  report('postgres.verify.warm', await measure({ run, async: true }, h), 'what was read is fresh')
  verifier.close()
}

/** Checks by a verifier that has forgotten each text before it comes again: all are first sights. */
function coldVerifies({ store, texts }: Loaded, keys: KeyRing): Subject {
  const { verifier } = trackedVerifier(store, keys, REMEMBERED)
  return { async: true, run: (i) => verifier.verify(texts[i % texts.length], callContext()) }
}

async function cold(
  report: Report,
  small: Loaded,
  keys: KeyRing,
  pool: BenchDatabase['pool'],
  schema: string,
): Promise<void> {
  const n = namesOf(schema, '')
  const { rows } = await pool.query<{ id: number; kind: number }>(
    `SELECT i.id, i.kind FROM ${n.ind} i JOIN ${n.kind} k ON k.id = i.kind WHERE k.name = 'token' AND i.sort = 'u' AND i.name = 'digest'`,
  )
  const digests = small.texts.map((text) => keys.digest(text))
  const text = `SELECT r.id, r.revision, r.body FROM ${n.uniq} u JOIN ${n.record} r ON r.kind = $3 AND r.id = u.id WHERE u.ind = $1 AND u.key = $2`
  const select: Subject = {
    async: true,
    run: async (i) => {
      const found = await pool.query({
        name: 'raw',
        text,
        values: [rows[0]?.id, digests[i % digests.length], rows[0]?.kind],
      })
      if (found.rows.length !== 1) throw new Error('the raw select finds nothing')
    },
  }
  const measured = await measure(coldVerifies(small, keys), select)
  const times: number[] = []
  for (let i = 0; i < 1000; i++) {
    const from = performance.now()
    await select.run(i)
    times.push((performance.now() - from) * 1000)
  }
  const note = `over one prepared select of the same row by its digest, which takes ${Math.round(median(times))} us`
  report('postgres.verify.cold', measured, note)
}

async function commits(report: Report, database: BenchDatabase, keys: KeyRing): Promise<void> {
  const { pool } = database
  const [ours, theirs] = [database.schema('commit'), database.schema('raw')]
  const store = await PostgresTokenStore.open({ pool, schema: ours })
  await PostgresTokenStore.open({ pool, schema: theirs })
  const names = namesOf(theirs, '')
  const connections = new Connections({
    pool,
    clock: systemClock(),
    random: systemRandom(),
    store: theirs,
    mark: undefined,
    timeout: 60_000,
    connectTimeout: 60_000,
  })
  const registry = new KindRegistry(names, statementsOf(names), connections)
  const kinds = new Map<string, PgKind>()
  const collector = new Collector()
  const generator = new Generator({ store: collector, keys })
  let made = 0
  const next = async (count: number): Promise<Commit[]> => {
    for (let i = 0; i < count; i++) await generator.generate(tokenInput(made++))
    return collector.takeEach().map((commit, i) => {
      const at = Date.now()
      const event = { id: `event-${made}-${i}`, name: 'token.generated', token: `t${made}-${i}`, at, payload: null }
      return { ...commit, outbox: [event] }
    })
  }
  for (const { kind } of (await next(1))[0]?.write ?? []) kinds.set(kind.name, await registry.enter(kind))
  kinds.set(eventKind.name, await registry.enter(eventKind))
  const AT_ONCE = 24
  let mine: Commit[] = []
  let raw: CommitRows[] = []
  const subject: Subject = {
    async: true,
    operations: AT_ONCE,
    before: async () => {
      mine = await next(AT_ONCE)
    },
    run: (i) => store.commit(mine[i % AT_ONCE] as Commit),
  }
  const client = await pool.connect()
  const reference: Subject = {
    async: true,
    operations: AT_ONCE,
    before: async () => {
      raw = (await next(AT_ONCE)).map((commit) => rowsOf(commit, kinds))
    },
    run: (i) => rawCommit(client, names, raw[i % AT_ONCE] as CommitRows),
  }
  const note =
    'a token with its activity, 13 index entries, journal and outbox, over BEGIN, a statement a row or table, COMMIT'
  report('postgres.commit', await measure(subject, reference), note)
  client.release()
}

/** The limiter over an upsert by hand, which counts and checks nothing else. */
async function limiter(report: Report, pool: BenchDatabase['pool'], schema: string): Promise<void> {
  const limits = parseRateLimits('rateLimit', { limit: 1000, per: '1h', burst: 1_000_000_000 })
  const subject = new PostgresRateLimiter({ pool, schema, timeout: '10s' })
  await pool.query(
    `CREATE UNLOGGED TABLE "${schema}".raw (key text PRIMARY KEY, used bigint NOT NULL) WITH (fillfactor = 50)`,
  )
  const text = `INSERT INTO "${schema}".raw AS r VALUES ($1, 1) ON CONFLICT (key) DO UPDATE SET used = r.used + 1 RETURNING used`
  const reference = (i: number) => pool.query({ name: 'upsert', text, values: [`tok_${i % 64}`] })
  const run = (i: number) => subject.reserve(`tok_${i % 64}`, limits, 1)
  const note = 'over a prepared upsert of a counter'
  report('postgres.limiter', await measure({ run, async: true }, { run: reference, async: true }), note)
}

async function sizes(report: Report, small: Loaded, large: Loaded, keys: KeyRing): Promise<void> {
  report('postgres.1m.cold', await measure(coldVerifies(large, keys), coldVerifies(small, keys)), 'over 10,000')
  const due = ({ store }: Loaded): Subject => ({
    async: true,
    run: async () => {
      const { items } = await store.list(tokenKind, { index: 'ends', to: Date.now() + 60 * 86_400_000, limit: 100 })
      if (items.length !== 100) throw new Error('the page of due tokens is not full')
    },
  })
  report('postgres.1m.due', await measure(due(large), due(small)), 'a page of 100, over 10,000')
}

/** What verifying processes are told. */
export interface VerifyingJob {
  readonly schema: string
  readonly secret: string
  readonly texts: readonly string[]
}

async function twoProcesses(report: Report, job: VerifyingJob): Promise<void> {
  const children = [0, 1].map(() => fork(new URL('./verifying.ts', import.meta.url)))
  const ready = children.map((child) => once(child, 'message'))
  for (const child of children) child.send(job)
  await Promise.all(ready)
  const count = async (child: ChildProcess): Promise<number> => {
    const answer = once(child, 'message')
    child.send(ROUND_MS)
    return ((await answer) as [number])[0]
  }
  const ratios: number[] = []
  const singles: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    // Each of them alone, before and after both: what slows the machine down for a while slows all three.
    const before = await count(children[round % 2] as ChildProcess)
    const [a, b] = await Promise.all(children.map(count))
    const after = await count(children[1 - (round % 2)] as ChildProcess)
    const alone = (before + after) / 2
    singles.push((alone * 1000) / ROUND_MS)
    ratios.push(((a ?? 0) + (b ?? 0)) / alone)
  }
  const { value } = summarize(ratios)
  const rate = Math.round(median(singles) / 1000)
  report(
    'postgres.processes',
    { value, low: Math.min(...ratios), high: Math.max(...ratios) },
    `one does ${rate},000 verifies/s`,
  )
  for (const child of children) {
    const ended = once(child, 'exit')
    child.disconnect()
    await ended
  }
}
