import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { afterAll, describe, expect, it } from 'vitest'
import { codeBlocks, runBlock, typeErrors } from './docs/code-blocks.ts'
import { ROOT } from './source-tree.ts'

// Inside the project, so that the blocks find its packages; not under node_modules, where Node strips no types.
mkdirSync(`${ROOT}.cache`, { recursive: true })
const folder = mkdtempSync(`${ROOT}.cache/code-blocks-`)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const guides = [
  'README.md',
  ...readdirSync(`${ROOT}docs`, { recursive: true, encoding: 'utf8' }).map((name) => `docs/${name}`),
]
const blocks = guides
  .filter((doc) => doc.endsWith('.md') && existsSync(ROOT + doc))
  .flatMap((doc) => codeBlocks(doc, readFileSync(ROOT + doc, 'utf8')))

describe('the code blocks of README.md and docs/', () => {
  it('pass the type check', { timeout: 60_000 }, () => {
    const checked = blocks.filter((block) => block.mode !== 'sketch')
    expect(typeErrors(folder, checked)).toEqual([])
  })

  for (const block of blocks.filter(({ mode }) => mode === 'run')) {
    it(`run: ${block.doc}:${block.line}`, { timeout: 40_000 }, () => {
      const { status, output } = runBlock(folder, block)
      expect(status, output).toBe(0)
    })
  }
})

describe('the reader of code blocks', () => {
  const guide = (...lines: string[]) => codeBlocks('docs/x.md', lines.join('\n'))

  it('tells the three marks apart, and leaves other languages and longer fences alone', () => {
    const found = guide(
      '# A',
      '```ts',
      'a',
      '```',
      '```ts run',
      'b',
      '```',
      '```ts sketch',
      'c',
      '```',
      '```sh',
      'd',
      '```',
      '````md',
      '```ts',
      '```',
      '````',
    )
    expect(found.map(({ line, mode, code }) => [line, mode, code])).toEqual([
      [2, 'check', 'a\n'],
      [5, 'run', 'b\n'],
      [8, 'sketch', 'c\n'],
    ])
    expect(() => guide('```ts runs', '```')).toThrow('docs/x.md:1')
  })

  it('reports a type error at its line of the guide', () => {
    const found = guide('text', '```ts', 'const ok = 1', 'const wrong: string = 1', '```')
    expect(typeErrors(folder, found)).toEqual([
      expect.stringMatching(/^docs\/x\.md:4: Type 'number' is not assignable/),
    ])
  })

  it('runs what it should, and sees a failure', () => {
    const [good, bad] = guide(
      '```ts run',
      'const n: number = 1',
      'console.log(n)',
      '```',
      '```ts run',
      'throw new Error("no")',
      '```',
    )
    if (good === undefined || bad === undefined) throw new Error('two blocks were written')
    expect(runBlock(folder, good)).toEqual({ status: 0, output: '1\n' })
    expect(runBlock(folder, bad).status).toBe(1)
  })
})
