import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { IdSet } from '../../src/backup/id-set.ts'

const ID = fc.oneof(fc.string({ maxLength: 3 }), fc.constantFrom('a', 'A', 'a.1', "it's", 'é', '\u{1f600}'))
const ENTRY = fc.record({ kind: fc.constantFrom('token', 'activity', 'Token'), id: ID })

describe('a set of ids', () => {
  it('has what was added, kind by kind, letter by letter', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(ENTRY), fc.array(ENTRY), async (added, asked) => {
        const ids = await IdSet.open()
        const model = new Set(added.map(({ kind, id }) => JSON.stringify([kind, id])))
        for (const { kind, id } of added) ids.add(kind, id)
        for (const { kind, id } of [...added, ...asked]) {
          expect(ids.has(kind, id)).toBe(model.has(JSON.stringify([kind, id])))
        }
        ids.close()
      }),
    )
  })

  it('holds many, beyond its memory', async () => {
    const ids = await IdSet.open()
    for (let n = 0; n < 200_000; n++) ids.add('token', `abcdefghijklmnop${n * 3}`)
    for (let n = 0; n < 1000; n++) expect(ids.has('token', `abcdefghijklmnop${n * 599}`)).toBe((n * 599) % 3 === 0)
    ids.close()
  })

  it('tells when it can’t be used', async () => {
    const ids = await IdSet.open()
    ids.close()
    expect(() => ids.add('token', 'x')).toThrow('ERR_ARCHIVE_IO')
    expect(() => ids.has('token', 'x')).toThrow('ERR_ARCHIVE_IO')
  })
})
