import { mkdirSync, readdirSync, utimesSync } from 'node:fs'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { Backups, generateSecret, KeyRing, type RestoreMode, Tokenwright } from '../../src/index.ts'
import { seededRandom } from '../../src/kernel/random.ts'
import { createLink, EMPTY_HEAD } from '../../src/stores/journal-link.ts'
import type { TokenStore } from '../../src/stores/token-store.ts'
import { tokenKind } from '../../src/tokens/record.ts'
import { startChild } from '../child-process.ts'
import { archiveFolder, contents } from './fixture.ts'

const keys = generateSecret(seededRandom('crash'))
const TOKENS = 1500

let files: ReturnType<typeof archiveFolder>
beforeEach(() => {
  files = archiveFolder()
})
afterEach(() => files.remove())

/** A file store with tokens, some of them revoked, rotated and removed. */
async function sourceStore(path: string, tokens = TOKENS): Promise<FileTokenStore> {
  const store = await FileTokenStore.open(path)
  const door = new Tokenwright({ store, keys })
  const making = Array.from({ length: tokens }, (_, i) => door.generate({ service: `S${i}`, tags: [`t${i % 7}`] }))
  await Promise.all(making)
  for (let i = 0; i < 30; i++) await door.revoke(`S${i}`)
  await door.cleanup({ retention: 0 })
  for (let i = 40; i < 50; i++) await door.revoke(`S${i}`)
  for (let i = 50; i < 60; i++) await door.rotate(`S${i}`)
  return store
}

/** Whether the journal's chain holds. */
async function chainHolds(store: TokenStore): Promise<boolean> {
  const link = createLink(KeyRing.from(keys).subkey('journal'))
  let head = EMPTY_HEAD
  for (;;) {
    const page = await store.journal({ after: head.seq, limit: 1000 })
    if (page.length === 0) return head.seq > 0
    for (const { seq, mac, ...entry } of page) {
      const [expected] = link(head, [entry])
      if (expected?.seq !== seq || expected.mac !== mac) return false
      head = { seq, mac }
    }
  }
}

it('a killed backup leaves no file under a final name, and what it leaves is swept', async () => {
  const store = await sourceStore(files.at('tokens.db'))
  const random = seededRandom('kill create')
  const folder = files.at('archives')
  mkdirSync(folder)
  let finished = 0
  for (let round = 0; round < 8; round++) {
    const child = startChild('backup/children/kill-create.ts', files.at('tokens.db'), folder, keys)
    await child.printed(1 + (round % 3))
    await new Promise((resolve) => setTimeout(resolve, Math.floor(random.float() * 60)))
    child.process.kill('SIGKILL')
    await child.ended
    finished += child.lines.length - 1
  }
  const names = readdirSync(folder)
  const temporary = names.filter((name) => name.endsWith('.tmp'))
  expect(temporary.length).toBeGreaterThan(0)
  const backups = new Backups({ store, keys, directory: folder })
  const whole = names.filter((name) => !name.endsWith('.tmp'))
  expect(whole.length).toBeGreaterThanOrEqual(finished)
  for (const name of whole) expect((await backups.verify(`${folder}/${name}`)).tokenCount).toBe(TOKENS - 30)
  const old = Date.now() / 1000 - 2 * 3600
  for (const name of temporary) utimesSync(`${folder}/${name}`, old, old)
  await backups.create()
  expect(readdirSync(folder).filter((name) => name.endsWith('.tmp'))).toEqual([])
  await store.close()
}, 60_000)

describe.each(['merge', 'replace'] as const)('a restore that is killed, in mode %s', (mode: RestoreMode) => {
  it('goes on where it was, and comes to the same end', async () => {
    const store = await sourceStore(files.at('source.db'))
    const { file = '' } = await new Backups({ store, keys }).create({ to: files.at('a.twb') })
    const expected = await contents(store)
    await store.close()
    const random = seededRandom(`kill restore ${mode}`)
    const target = files.at('target.db')
    const first = await FileTokenStore.open(target)
    const door = new Tokenwright({ store: first, keys })
    for (let i = 0; i < 300; i++) await door.generate({ service: `OTHER${i}` })
    const others = await contents(first)
    await first.close()

    let killed = 0
    for (let round = 0; round < 20; round++) {
      const child = startChild('backup/children/kill-restore.ts', target, file, keys, mode, files.at('before.twb'))
      await child.printed(1 + Math.floor(random.float() * 3))
      child.process.kill('SIGKILL')
      await child.ended
      if (child.lines.includes('done')) break
      killed += 1
      const half = await FileTokenStore.open(target)
      // No commit is half there: a record that came back is whole, with its entry in the journal.
      for (const [id, value] of await contents(half)) {
        if (expected.has(id)) expect([id, value]).toEqual([id, expected.get(id)])
        else if (mode === 'merge') expect([id, value]).toEqual([id, others.get(id)])
      }
      expect(await chainHolds(half)).toBe(true)
      await half.close()
    }
    expect(killed).toBeGreaterThan(1)

    const last = await FileTokenStore.open(target)
    const backups = new Backups({ store: last, keys })
    await backups.restore(file, { mode, ...(mode === 'replace' && { to: files.at('before.twb') }) })
    const after = await contents(last)
    for (const [id, value] of expected) expect([id, after.get(id)]).toEqual([id, value])
    const rest = [...after].filter(([id]) => !expected.has(id))
    if (mode === 'merge') expect(new Map(rest)).toEqual(others)
    else expect(rest.every(([, value]) => (value as { gone?: unknown }).gone !== undefined)).toBe(true)
    expect((await backups.restore(file)).written).toBe(0)
    // Each record was written once: its revision is the first of the next epoch.
    for await (const page of last.scan([tokenKind])) {
      for (const row of page) if (expected.has(`token/${row.id}`)) expect(row.revision).toBe(2 ** 32 + 1)
    }
    expect(await chainHolds(last)).toBe(true)
    await last.close()
    const db = new DatabaseSync(target)
    expect(db.prepare('PRAGMA integrity_check').get()).toEqual({ integrity_check: 'ok' })
    db.close()
  }, 120_000)
})
