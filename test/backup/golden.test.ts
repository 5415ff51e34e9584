import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { describe, expect, it } from 'vitest'
import { FORMAT } from '../../src/backup/archive-head.ts'
import { MemoryTokenStore, Tokenwright } from '../../src/index.ts'
import { fakeClock } from '../../src/testing/index.ts'

interface Golden {
  readonly keys: { readonly id: string; readonly secret: string }[]
  readonly at: number
  readonly readable: string
  readonly texts: { readonly good: string[]; readonly revoked: string[]; readonly unknown: string[] }
  readonly archives: {
    readonly name: string
    readonly archive: string
    readonly counts: object
    readonly sha256: string
    readonly passphrase?: string
  }[]
}

const folder = fileURLToPath(new URL('./golden/', import.meta.url))
const formats = readdirSync(folder).filter((name) => name.endsWith('.json'))

it('there are archives of every format up to the present one', () => {
  expect(formats.sort()).toEqual(Array.from({ length: FORMAT }, (_, n) => `format-${n + 1}.json`).sort())
})

describe.each(formats)('%s', (format) => {
  const golden = JSON.parse(readFileSync(folder + format, 'utf8')) as Golden

  it.each(golden.archives)('$name is read and restored', async ({ name, archive, counts, sha256, passphrase }) => {
    expect(
      createHash('sha256')
        .update(readFileSync(folder + name))
        .digest('hex'),
    ).toBe(sha256)
    const clock = fakeClock({ now: golden.at })
    const tokens = new Tokenwright({ store: new MemoryTokenStore({ clock }), keys: golden.keys, clock })
    const key = passphrase === undefined ? {} : { passphrase }
    expect(await tokens.backups.inspect(folder + name)).toMatchObject({ archive, source: 'golden', consistent: true })
    const report = await tokens.backups.restore(folder + name, key)
    expect(report.refused).toBe(0)
    const code = async (text: string) => {
      const answer = await tokens.verify(text)
      return answer.ok ? 'ok' : answer.code
    }
    for (const text of golden.texts.good) expect(await code(text)).toBe('ok')
    for (const text of golden.texts.revoked) expect(await code(text)).toBe('revoked')
    for (const text of golden.texts.unknown) expect(await code(text)).toBe('unknown')
    expect(await tokens.rotator.reveal('READABLE')).toBe(golden.readable)
    // Each guess at a passphrase takes its time.
    if (passphrase !== undefined) return
    expect(await tokens.backups.verify(folder + name)).toMatchObject({ archive, counts })
    expect(await tokens.backups.restore(folder + name)).toMatchObject({ written: 0, removed: 0, refused: 0 })
  })
})
