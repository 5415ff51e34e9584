import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { verifyExport } from '../../src/index.ts'
import { linesOf } from '../../src/journal/lines.ts'
import { setUp } from '../issuing/fixture.ts'

const KEYS = 'a secret for the journal, 0123456789 abcdefghij'

async function all(source: Iterable<string> | AsyncIterable<string>, longest = 100): Promise<string[]> {
  const lines: string[] = []
  for await (const line of linesOf(source, longest)) lines.push(line)
  return lines
}

async function timeOf(text: string): Promise<number> {
  let best = Number.POSITIVE_INFINITY
  for (let round = 0; round < 3; round++) {
    const start = performance.now()
    // One byte at a time, as a slow pipe may give it.
    for await (const _ of linesOf([...text], text.length));
    best = Math.min(best, performance.now() - start)
  }
  return best
}

describe('lines', () => {
  it('are the same however the text is cut', async () => {
    const texts = fc.array(fc.constantFrom('a', 'bc', '\n', '\n\n', 'ü😀', ''), { maxLength: 30 })
    await fc.assert(
      fc.asyncProperty(texts, fc.array(fc.nat(5)), async (pieces, sizes) => {
        const text = pieces.join('')
        const cut: string[] = []
        for (let at = 0, n = 0; at < text.length; n++) {
          const size = sizes[n % (sizes.length || 1)] ?? 1
          cut.push(text.slice(at, at + size))
          at += size
          if (sizes.every((each) => each === 0)) at += 1
        }
        if (cut.join('') !== text) return
        const lines = text.split('\n')
        if (lines.at(-1) === '') lines.pop()
        expect(await all(cut)).toEqual(lines)
        expect(await all([...text])).toEqual(lines)
      }),
    )
  })

  it('that are too long end it, wherever they are cut', async () => {
    for (const pieces of [
      ['a\n', 'b'.repeat(101), '\nc'],
      [`a\n${'b'.repeat(101)}\nc`],
      [...`a\n${'b'.repeat(101)}\nc`],
    ])
      expect(await all(pieces)).toEqual(['a', ''])
    expect(await all([`${'b'.repeat(100)}\n`, 'c'])).toEqual(['b'.repeat(100), 'c'])
  })

  it('take linear time in pieces of one byte', async () => {
    await timeOf('x'.repeat(10_000))
    // Eight times as much took 64 times as long, when each piece made it look again from the line's beginning.
    const ratio = (await timeOf('x'.repeat(400_000))) / (await timeOf('x'.repeat(50_000)))
    expect(ratio).toBeLessThan(30)
  })
})

describe('an export', () => {
  it('is proved byte by byte, and one without an end is given up', async () => {
    const { tokens } = setUp({ keys: KEYS })
    for (let i = 0; i < 5; i++) await tokens.generate({ service: `S${i}` })
    let text = ''
    for await (const line of tokens.audit.export()) text += line
    expect(await verifyExport([...text], KEYS)).toMatchObject({ ok: true, entries: 5 })
    // A line without an end is no line of ours: it is refused, and not kept in memory.
    const endless = function* () {
      yield text.split('\n')[0] ?? ''
      yield '\n'
      for (let i = 0; i < 5000; i++) yield 'x'.repeat(1000)
      throw new Error('it was read to its end')
    }
    expect(await verifyExport(endless(), KEYS)).toMatchObject({ ok: false, entries: 1, line: 2 })
    await tokens.close()
  })
})
