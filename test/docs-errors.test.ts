import { readFileSync } from 'node:fs'
import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { parseSource, ROOT, readSources, type SourceFile, walk } from './source-tree.ts'

/** The error codes that a file declares: literals in types, and those given straight to a constructor of ours. */
function codesOf(file: SourceFile): string[] {
  const found: string[] = []
  walk(file.tree, (node) => {
    if (!ts.isStringLiteral(node) || !/^ERR_[A-Z0-9_]+$/.test(node.text)) return
    const { parent } = node
    const constructed = (ts.isCallExpression(parent) || ts.isNewExpression(parent)) && parent.arguments?.[0] === node
    const ours = constructed && /^super$|Error$/.test(parent.expression.getText())
    if (ts.isLiteralTypeNode(parent) || ours) found.push(node.text)
  })
  return found
}

const sections = new Map<string, string>()
for (const section of readFileSync(`${ROOT}docs/errors.md`, 'utf8').split(/^## /m).slice(1)) {
  const [title = '', ...body] = section.split('\n')
  sections.set(title.trim(), body.join('\n'))
}
const codes = [...new Set(readSources().flatMap(codesOf))].sort()

describe('docs/errors.md', () => {
  it('knows codes in types, super calls and constructors, and leaves the codes of Node alone', () => {
    const file = parseSource(
      'a.ts',
      `type A = 'ERR_A' | 'ERR_B'
      class C extends A { constructor() { super('ERR_C', 'x') } }
      throw new StoreError('ERR_D', 'x')
      if (error.code === 'ERR_SQLITE_ERROR') f('ERR_OTHER')`,
    )
    expect(codesOf(file)).toEqual(['ERR_A', 'ERR_B', 'ERR_C', 'ERR_D'])
  })

  it('has a section for every code', () => {
    expect(codes.length).toBeGreaterThan(0)
    expect(codes.filter((code) => !sections.has(code))).toEqual([])
  })

  it('has no section for a code that is gone', () => {
    expect([...sections.keys()].filter((title) => title.startsWith('ERR_') && !codes.includes(title))).toEqual([])
  })

  it('says of each what it means, when it happens and what to do', () => {
    for (const code of codes) {
      const text = sections.get(code) ?? ''
      for (const part of ['**Meaning.**', '**When.**', '**What to do.**'])
        expect([code, text.includes(part)]).toEqual([code, true])
    }
  })
})
