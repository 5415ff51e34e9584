import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { FileTokenStore } from '../src/file/index.ts'
import { generateSecret, KeyRing } from '../src/index.ts'
import { measure, median, type Pair, ratioOf, rawHmac, summarize } from './measure.ts'
import { type MillionFile, millionFile } from './million-file.ts'
import type { OpenedFile } from './open-file.ts'
import { callContext } from './population.ts'
import { commitsToMake, replay, StatementLog, slowDisk } from './recorded-commits.ts'
import type { Report } from './result.ts'
import { trackedVerifier } from './verify.ts'
import type { WriterReport } from './writer.ts'

const CALLERS = 64
const COMMITS = 64 * 40
const FSYNC_MS = 5
const WRITERS = 4
const WRITE_MS = 6000

/** Everything about the store in a file. */
export async function fileStoreSection(report: Report): Promise<void> {
  await commitCost(report)
  await groupCommit(report)
  await fourWriters(report)
  const file = await millionFile()
  await opening(file, report)
  await verifying(file, report)
}

async function opening(file: MillionFile, report: Report): Promise<void> {
  const opened: OpenedFile[] = []
  for (let i = 0; i < 7; i++) opened.push(await inChild<OpenedFile>('./open-file.ts', file))
  const first = median(opened.map((one) => one.firstVerifyMs)).toFixed(1)
  report('file.open.ms', summarize(opened.map((one) => one.openMs)), `the first verify takes ${first} ms more`)
  report('file.open.rss', summarize(opened.map((one) => one.rssMb)), 'of the whole process, after that verify')
}

async function verifying({ path, secret, texts }: MillionFile, report: Report): Promise<void> {
  const keys = KeyRing.from(secret)
  const h = rawHmac(keys.subkey('digest'), texts)
  for (const [id, crossProcessStaleness] of [
    ['file.verify.warm', 10],
    ['file.verify.exact', 0],
  ] as const) {
    const store = await FileTokenStore.open(path, { crossProcessStaleness })
    const { verifier } = trackedVerifier(store, keys)
    for (const text of texts) {
      const answer = await verifier.verify(text, callContext())
      if (!answer.ok) throw new Error(`the benchmark measures refusals: ${answer.code}`)
    }
    const run = (i: number) => verifier.verify(texts[i % texts.length], callContext())
    report(id, await measure({ run, async: true }, h))
    await store.close()
  }
  let store = await FileTokenStore.open(path)
  let { verifier } = trackedVerifier(store, keys)
  const before = async () => {
    await store.close()
    store = await FileTokenStore.open(path)
    verifier = trackedVerifier(store, keys).verifier
    await verifier.verify('')
  }
  const cold = (i: number) => verifier.verify(texts[i % texts.length], callContext())
  const measured = await measure({ run: cold, async: true, before, operations: texts.length }, h)
  report('file.verify.cold', measured, 'a store just opened, tokens spread over a million')
  await store.close()
}

/** What a commit costs, 64 callers at a time, beside its statements alone in one transaction. */
async function commitCost(report: Report): Promise<void> {
  const commits = await commitsToMake(COMMITS)
  const runs: number[] = []
  const perCommit: number[] = []
  for (let run = 0; run < 3; run++) {
    const pairs: Pair[] = []
    for (let i = 0; i < 3; i++) {
      const log = new StatementLog()
      await inFolder(async (path) => {
        const store = await FileTokenStore.openWith(path, {}, { connected: log.record })
        await shared(CALLERS, commits.length, (n) => store.commit(commits[n] as (typeof commits)[0]))
        await store.close()
      })
      const subject = await inFolder(async (path) => {
        const store = await FileTokenStore.open(path)
        const start = performance.now()
        await shared(CALLERS, commits.length, (n) => store.commit(commits[n] as (typeof commits)[0]))
        const took = performance.now() - start
        await store.close()
        return took
      })
      const reference = await inFolder(async (path) => {
        await (await FileTokenStore.open(path)).close()
        return replay(path, log)
      })
      pairs.push({ reference, subject })
      perCommit.push((subject / commits.length) * 1000)
    }
    runs.push(ratioOf(pairs))
  }
  report('file.commit.cost', summarize(runs), `${Math.round(median(perCommit))} us a commit of two records`)
}

/** What sharing a wait for the disk gains. */
async function groupCommit(report: Report): Promise<void> {
  const commits = await commitsToMake(CALLERS * 20)
  const alone = commits.slice(0, 100)
  const gains: number[] = []
  for (let run = 0; run < 3; run++) {
    const rate = async (callers: number, some: typeof commits): Promise<number> =>
      inFolder(async (path) => {
        const store = await FileTokenStore.openWith(path, {}, { connected: slowDisk(FSYNC_MS) })
        const start = performance.now()
        await shared(callers, some.length, (n) => store.commit(some[n] as (typeof commits)[0]))
        const took = performance.now() - start
        await store.close()
        return some.length / took
      })
    gains.push((await rate(CALLERS, commits)) / (await rate(1, alone)))
  }
  report('file.commit.group', summarize(gains), `${CALLERS} callers beside one, each wait for the disk ${FSYNC_MS} ms`)
}

/** Four processes write to one file for some seconds. */
async function fourWriters(report: Report): Promise<void> {
  const delays: number[] = []
  const shares: number[] = []
  let rate = 0
  for (let run = 0; run < 3; run++) {
    const reports = await inFolder(async (path) => {
      await (await FileTokenStore.open(path)).close()
      const job = { path, secret: generateSecret(), ms: WRITE_MS }
      return Promise.all(Array.from({ length: WRITERS }, () => inChild<WriterReport>('./writer.ts', job)))
    })
    const total = reports.reduce((sum, one) => sum + one.commits, 0)
    delays.push(Math.max(...reports.map((one) => one.longestDelayMs)))
    shares.push(Math.min(...reports.map((one) => (one.commits * WRITERS) / total)))
    rate = total / (WRITE_MS / 1000)
  }
  report('file.writers.delay', summarize(delays), `${Math.round(rate)} commits/s in all`)
  report('file.writers.share', summarize(shares), 'of an even share')
}

/** Does `count` jobs, so many at a time. */
async function shared(callers: number, count: number, job: (n: number) => unknown): Promise<void> {
  let next = 0
  const call = async (): Promise<void> => {
    while (next < count) await job(next++)
  }
  await Promise.all(Array.from({ length: callers }, call))
}

async function inFolder<T>(work: (path: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-bench-'))
  try {
    return await work(join(folder, 'tokens.db'))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Runs a file of this folder in a process of its own: it gets a job as a message, and answers with one. */
async function inChild<T>(file: string, job: object): Promise<T> {
  const child: ChildProcess = fork(new URL(file, import.meta.url))
  const answer = Promise.race([
    once(child, 'message') as Promise<[T]>,
    once(child, 'exit').then(([code]) => {
      throw new Error(`${file} ended with ${code}`)
    }),
  ])
  child.send(job)
  const [result] = await answer
  child.disconnect()
  return result
}
