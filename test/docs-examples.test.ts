import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { codeBlocks } from './docs/code-blocks.ts'
import { ROOT } from './source-tree.ts'

/** The lines without their indentation, which an excerpt has less of. */
function flat(text: string): string {
  return text.replaceAll(/^ +/gm, '')
}

const examples = readdirSync(`${ROOT}examples`, { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => flat(readFileSync(`${ROOT}examples/${name}`, 'utf8')))

describe.each(['docs/writing-a-store.md', 'docs/testing.md'])('%s', (doc) => {
  const excerpts = codeBlocks(doc, readFileSync(ROOT + doc, 'utf8')).filter(({ mode }) => mode === 'sketch')

  it('shows what the examples hold, word for word', () => {
    expect(excerpts.length).toBeGreaterThan(0)
    const stray = excerpts.filter(({ code }) => !examples.some((text) => text.includes(flat(code))))
    expect(stray.map(({ line, code }) => `${doc}:${line}\n${code}`)).toEqual([])
  })
})
