import { spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import ts from 'typescript'
import { ROOT } from '../source-tree.ts'

/** A TypeScript code block of a guide. */
export interface CodeBlock {
  /** The guide, such as `docs/errors.md`. */
  readonly doc: string
  /** The line of the opening fence, from 1. */
  readonly line: number
  /** `run`: run and checked; `check`: type-checked; `sketch`: only shown. */
  readonly mode: 'run' | 'check' | 'sketch'
  readonly code: string
}

/** The blocks fenced as `ts`, `ts run` and `ts sketch` of a Markdown text. */
export function codeBlocks(doc: string, markdown: string): CodeBlock[] {
  const found: CodeBlock[] = []
  let open: { line: number; fence: string; mode: CodeBlock['mode'] | undefined; code: string[] } | undefined
  for (const [index, line] of markdown.split('\n').entries()) {
    if (open !== undefined) {
      if (line.trim() !== open.fence) open.code.push(line)
      else {
        const { mode } = open
        if (mode !== undefined) found.push({ doc, line: open.line, mode, code: `${open.code.join('\n')}\n` })
        open = undefined
      }
      continue
    }
    const fence = /^ {0,3}(`{3,})(.*)$/.exec(line)
    if (fence === null) continue
    open = { line: index + 1, fence: fence[1] ?? '', mode: modeOf(doc, index + 1, fence[2] ?? ''), code: [] }
  }
  return found
}

function modeOf(doc: string, line: number, info: string): CodeBlock['mode'] | undefined {
  const [language, word, ...rest] = info.trim().split(/ +/)
  if (language !== 'ts' && language !== 'typescript') return undefined
  if (word === undefined) return 'check'
  if (rest.length === 0 && (word === 'run' || word === 'sketch')) return word
  throw new Error(`${doc}:${line}: a code block is marked "${info}"; write ts, ts run or ts sketch`)
}

/** Writes a block as a module whose line numbers are those of the guide. Answers its path. */
export function writeBlock(folder: string, block: CodeBlock): string {
  const path = `${folder}/${block.doc.replaceAll('/', '-')}-${block.line}.ts`
  mkdirSync(dirname(path), { recursive: true })
  const marker = /^(import|export) /m.test(block.code) ? '' : 'export {}\n'
  writeFileSync(path, '\n'.repeat(block.line) + block.code + marker)
  return path
}

/** What the compiler says against these blocks, each as `docs/x.md:12: message`. */
export function typeErrors(folder: string, blocks: readonly CodeBlock[]): string[] {
  const docs = new Map(blocks.map((block) => [writeBlock(folder, block), block.doc]))
  const { config } = ts.readConfigFile(`${ROOT}tsconfig.json`, ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config, ts.sys, ROOT)
  const program = ts.createProgram([`${ROOT}test/docs/prelude.d.ts`, ...docs.keys()], {
    ...options,
    noUnusedLocals: false,
    noUnusedParameters: false,
  })
  const found: string[] = []
  for (const [path, doc] of docs) {
    const source = program.getSourceFile(path)
    for (const error of [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]) {
      const line = source?.getLineAndCharacterOfPosition(error.start ?? 0).line ?? 0
      found.push(`${doc}:${line + 1}: ${ts.flattenDiagnosticMessageText(error.messageText, ' ')}`)
    }
  }
  return found
}

/** Runs a block in a Node of its own, against the sources. */
export function runBlock(folder: string, block: CodeBlock): { status: number | null; output: string } {
  const hook = new URL('./resolve-sources.mjs', import.meta.url).href
  const run = spawnSync(process.execPath, ['--import', hook, writeBlock(folder, block)], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { status: run.status, output: `${run.stdout}${run.stderr}` }
}
