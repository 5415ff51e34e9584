import ts from 'typescript'
import { describe, expect, it } from 'vitest'
import { parseSource, readSources, type SourceFile, walk } from './source-tree.ts'

/** The floors of ARCHITECTURE.md, lowest first. A room imports only from floors below its own. */
const FLOORS: readonly (readonly string[])[] = [
  ['kernel'],
  ['tokens'],
  ['stores'],
  ['usage'],
  ['access', 'journal', 'events'],
  ['issuing', 'signed', 'file', 'postgres', 'redis', 'backup', 'leaks'],
  ['rotation'],
  ['automation'],
  ['vault', 'cloudflare'],
  ['catalogue.ts'],
  ['tokenwright-options.ts'],
  ['http', 'tokenwright.ts'],
  ['index.ts', 'express', 'fastify'],
]

/** What a room may take as types only, although the floor is below. */
const TYPES_ONLY: { readonly [room: string]: (of: string) => boolean } = {
  vault: (of) => of === 'rotation' || of === 'automation',
  cloudflare: (of) => of === 'rotation' || of === 'automation',
  // http takes its services structurally.
  http: (of) => of !== 'kernel' && of !== 'tokens',
  'catalogue.ts': () => true,
  'tokenwright-options.ts': () => true,
}

const HARD_LINES = 400

function roomOf(path: string): string {
  const slash = path.indexOf('/')
  return slash < 0 ? path : path.slice(0, slash)
}

function floorOf(room: string): number {
  return FLOORS.findIndex((floor) => floor.includes(room))
}

function wrongImports(files: readonly SourceFile[]): string[] {
  const found: string[] = []
  for (const file of files) {
    const room = roomOf(file.path)
    if (room === 'testing') continue
    if (floorOf(room) < 0) found.push(`${file.path}: the room ${room} stands on no floor`)
    for (const { target, typeOnly } of file.imports) {
      if (target === undefined) continue
      const of = roomOf(target)
      if (of === room) continue
      if (of === 'testing') found.push(`${file.path} imports ${target}: nothing in src sees testing`)
      else if (floorOf(of) >= floorOf(room)) found.push(`${file.path} imports ${target}, which isn't on a floor below`)
      else if (!typeOnly && TYPES_ONLY[room]?.(of)) found.push(`${file.path} imports ${target} by value, not as a type`)
    }
  }
  return found
}

function cycles(files: readonly SourceFile[]): string[] {
  const byPath = new Map(files.map((file) => [file.path, file]))
  const done = new Set<string>()
  const found: string[] = []
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path)
    if (at >= 0) found.push([...trail.slice(at), path].join(' -> '))
    if (at >= 0 || done.has(path)) return
    for (const { target } of byPath.get(path)?.imports ?? []) if (target !== undefined) visit(target, [...trail, path])
    done.add(path)
  }
  for (const path of byPath.keys()) visit(path, [])
  return found
}

const FORBIDDEN_CALLS = new Set(['setTimeout', 'setInterval', 'globalThis.setTimeout', 'globalThis.setInterval'])
const FORBIDDEN_MEMBERS = new Set(['Date.now', 'Math.random', 'performance.now', 'process.hrtime'])
const FORBIDDEN_PACKAGES = new Set([
  'eventemitter3',
  'p-retry',
  'node:timers',
  'node:timers/promises',
  'node:perf_hooks',
])
const RANDOM_NAMES = /^(randomBytes|randomFill|randomFillSync|randomInt|randomUUID|getRandomValues|webcrypto)$/

/** Time, randomness, timers and the two wrapped libraries, used outside the kernel. */
function strayEffects(file: SourceFile): string[] {
  if (roomOf(file.path) === 'kernel') return []
  const found = file.imports
    .filter(({ specifier }) => FORBIDDEN_PACKAGES.has(specifier))
    .map(({ specifier }) => `${file.path} imports ${specifier}`)
  walk(file.tree, (node) => {
    let used: string | undefined
    if (ts.isCallExpression(node) && FORBIDDEN_CALLS.has(node.expression.getText())) used = node.expression.getText()
    else if (ts.isPropertyAccessExpression(node) && FORBIDDEN_MEMBERS.has(node.getText())) used = node.getText()
    else if (ts.isNewExpression(node) && node.expression.getText() === 'Date' && !node.arguments?.length)
      used = 'new Date()'
    else if (ts.isPropertyAccessExpression(node) && RANDOM_NAMES.test(node.name.text)) used = node.getText()
    else if (ts.isImportSpecifier(node) && RANDOM_NAMES.test((node.propertyName ?? node.name).text))
      used = node.getText()
    if (used === undefined) return
    const { line } = file.tree.getLineAndCharacterOfPosition(node.getStart())
    found.push(`${file.path}:${line + 1} uses ${used}; take a Clock or Random through the options`)
  })
  return found
}

const files = readSources()

describe('the house', () => {
  it('has files to judge', () => {
    expect(files.length).toBeGreaterThan(10)
    expect(files.flatMap((file) => file.imports).length).toBeGreaterThan(10)
  })

  it('lets a room import only from the floors below its own', () => {
    expect(wrongImports(files)).toEqual([])
  })

  it('has no import cycles between files, types included', () => {
    expect(cycles(files)).toEqual([])
  })

  it('imports only files that exist', () => {
    const paths = new Set(files.map((file) => file.path))
    const missing = files.flatMap((file) =>
      file.imports
        .filter(({ target }) => target !== undefined && !paths.has(target))
        .map(({ specifier }) => `${file.path}: ${specifier}`),
    )
    expect(missing).toEqual([])
  })

  it(`keeps every file within ${HARD_LINES} lines`, () => {
    expect(files.filter((file) => file.lines > HARD_LINES).map((file) => `${file.path}: ${file.lines}`)).toEqual([])
  })

  it('takes time, randomness, timers and retries from the kernel only', () => {
    expect(files.flatMap(strayEffects)).toEqual([])
  })

  it('has no barrel in the kernel', () => {
    expect(files.map((file) => file.path)).not.toContain('kernel/index.ts')
  })

  it('has no room for odds and ends', () => {
    const names = new Set(['utils', 'util', 'helpers', 'types', 'common', 'lib', 'misc'])
    const odd = files.filter((file) => file.path.split('/').some((part) => names.has(part.replace(/\.ts$/, ''))))
    expect(odd.map((file) => file.path)).toEqual([])
  })
})

describe('the judge itself', () => {
  const wrong = (path: string, text: string) => wrongImports([parseSource(path, text)])

  it('sees upward, sideways and testing imports, static, dynamic, re-exported or as types', () => {
    expect(wrong('kernel/a.ts', `import { b } from '../tokens/b.ts'`)).toHaveLength(1)
    expect(wrong('issuing/a.ts', `export * from '../signed/b.ts'`)).toHaveLength(1)
    expect(wrong('stores/a.ts', `const b = await import('../usage/b.ts')`)).toHaveLength(1)
    expect(wrong('stores/a.ts', `type B = import('../usage/b.ts').B`)).toHaveLength(1)
    expect(wrong('express/index.ts', `import type { A } from '../index.ts'`)).toHaveLength(1)
    expect(wrong('http/a.ts', `import type { T } from '../tokenwright.ts'`)).toHaveLength(1)
    expect(wrong('file/a.ts', `import { c } from '../testing/c.ts'`)).toHaveLength(1)
    expect(wrong('attic/a.ts', '')).toHaveLength(1)
    expect(wrong('stores/a.ts', `import { b } from './b.ts'\nimport type { K } from '../kernel/kind.ts'`)).toEqual([])
  })

  it('sees values where only types may pass', () => {
    expect(wrong('vault/a.ts', `import { R } from '../rotation/r.ts'`)).toHaveLength(1)
    expect(wrong('vault/a.ts', `import { type R, s } from '../automation/r.ts'`)).toHaveLength(1)
    expect(
      wrong('vault/a.ts', `import type { R } from '../rotation/r.ts'\nimport { type S } from '../rotation/s.ts'`),
    ).toEqual([])
    expect(wrong('http/a.ts', `import { Verifier } from '../issuing/verifier.ts'`)).toHaveLength(1)
    expect(wrong('http/a.ts', `import type { Verifier } from '../issuing/verifier.ts'`)).toEqual([])
  })

  it('sees cycles', () => {
    const a = parseSource('stores/a.ts', `import './b.ts'`)
    const b = parseSource('stores/b.ts', `import type { A } from './a.ts'`)
    expect(cycles([a, b])).toEqual(['stores/a.ts -> stores/b.ts -> stores/a.ts'])
  })

  it('sees stray effects in code and not in comments or texts', () => {
    const stray = (text: string) => strayEffects(parseSource('usage/a.ts', text)).length
    for (const code of [
      'Date.now()',
      'const now = Date.now',
      'new Date()',
      'setTimeout(f, 1)',
      'globalThis.setInterval(f, 1)',
      'Math.random()',
      'performance.now()',
      'process.hrtime.bigint()',
      'crypto.randomUUID()',
      'globalThis.crypto.getRandomValues(a)',
      `import { randomBytes as r } from 'node:crypto'`,
      `import { setTimeout as s } from 'node:timers/promises'`,
      `import pRetry from 'p-retry'`,
      `const e = await import('eventemitter3')`,
    ]) {
      expect([code, stray(code)]).toEqual([code, 1])
    }
    expect(stray(`// Date.now()\nconst text = 'Math.random()'\nnew Date(at)\nclock.now()\nclearTimeout(t)`)).toBe(0)
  })
})
