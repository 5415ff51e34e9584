import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/index.ts'
import { Tokenwright } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { startChild } from '../child-process.ts'
import { testFolder } from '../file/folder.ts'

const KEYS = 'a secret for kill -9, 0123456789 abcdefghijkl'
const TOKENS = 60
const ROUNDS = 5

it('a bulk rotation that is killed again and again is carried on: each token has one new value, and its owner has it', async () => {
  const { path, remove } = testFolder()
  const log = join(dirname(path), 'values.log')
  const random = seededRandom('bulk')
  const open = async () => new Tokenwright({ store: await FileTokenStore.open(path), keys: KEYS })
  const first = new Map<string, string>()
  const made = await open()
  for (let n = 0; n < TOKENS; n++) {
    const service = `S${String(n).padStart(2, '0')}`
    first.set(service, (await made.generate({ service })).token)
  }
  await made.close()

  /** What owners were handed last, or began with. */
  const held = () => {
    const values = new Map(first)
    const text = existsSync(log) ? readFileSync(log, 'utf8') : ''
    for (const line of text.split('\n').slice(0, -1)) {
      const [service = '', token = ''] = line.split(' ')
      values.set(service, token)
    }
    return values
  }

  for (let round = 0; round < ROUNDS; round++) {
    const child = startChild('rotation/children/bulk.ts', path, KEYS, log)
    await child.printed(1 + Math.floor(random.float() * 12))
    child.process.kill('SIGKILL')
    await child.ended
    const tokens = await open()
    for (const token of held().values()) expect((await tokens.verify(token)).ok).toBe(true)
    await tokens.close()
  }
  const last = startChild('rotation/children/bulk.ts', path, KEYS, log)
  await last.ended
  const report = JSON.parse(last.lines.at(-1) as string) as { rotated: number; failed: number }
  // What the killed ones had under way is theirs until their leases end.
  expect(report.rotated + report.failed).toBe(TOKENS)

  const tokens = await open()
  const values = held()
  for (const [service, token] of values) {
    const answer = await tokens.verify(token)
    expect(answer.ok, service).toBe(true)
    const view = await tokens.get(service)
    expect(view?.versions.filter(({ state }) => state === 'current')).toHaveLength(1)
    for (const { state, endsAt } of view?.versions ?? []) if (state === 'previous') expect(endsAt).toBeDefined()
  }
  const changed = [...values].filter(([service, token]) => first.get(service) !== token)
  expect(changed.length).toBeGreaterThanOrEqual(report.rotated)
  expect(await tokens.audit.verify({ records: true })).toMatchObject({ ok: true })
  await tokens.close()
  remove()
}, 60_000)
