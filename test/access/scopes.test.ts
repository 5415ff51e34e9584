import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { compileScopes, grants, parseScope, parseScopes } from '../../src/access/scopes.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'

const part = fc.constantFrom('docs', 'docsx', 'doc', 'read', 'all', 'a', 'b.c', 'x-y_z', '0')
const parts = fc.array(part, { minLength: 2, maxLength: 5 })
const scope = fc
  .tuple(parts, fc.boolean())
  .map(([list, star]) => [...list.slice(0, star ? -1 : undefined), ...(star ? ['*'] : [])].join(':'))

/** What `grants` means, part by part. */
function model(granted: string, wanted: string): boolean {
  const g = granted.split(':')
  const w = wanted.split(':')
  if (g.at(-1) !== '*') return granted === wanted
  const stem = g.slice(0, -1)
  return w.length > stem.length && stem.every((text, i) => text === w[i])
}

describe('parseScope', () => {
  it.each([
    'docs:read',
    'docs:*',
    'a:b:c:d:e',
    'repo.v2:issues-read_all',
    '0:0',
    'docs:read:*',
    `${'a'.repeat(63)}:${'b'.repeat(64)}`,
  ])('takes %s', (text) => {
    expect(parseScope('scope', text)).toBe(text)
  })

  it.each(
    [
      '',
      '*',
      ':',
      'docs',
      'docs:',
      ':read',
      '*:read',
      'docs:*:read',
      'docs:**',
      'docs:re*',
      'docs:*x',
      'docs::read',
      'Docs:read',
      'docs:Read',
      'docs: read',
      ' docs:read',
      'docs:read\n',
      'docs:read,x',
      '_docs:read',
      'docs:-read',
      '.docs:read',
      'dócs:read',
      '__proto__:x',
      `${'a'.repeat(64)}:${'b'.repeat(64)}`,
      'a:'.repeat(100_000),
      ...([undefined, null, 5, ['docs:read'], {}] as unknown as string[]),
    ].map((text) => [String(text).slice(0, 30), text] as const),
  )('refuses %j', (_shown, text) => {
    expect(() => parseScope('scope', text)).toThrow(InvalidInputError)
    expect(() => parseScope('scope', text)).toThrow('scope is not a scope; write it like')
  })

  it('refuses patterns where one scope is meant', () => {
    expect(() => parseScope('scope', 'docs:*', { pattern: false })).toThrow('scope is a pattern')
    expect(parseScope('scope', 'docs:read', { pattern: false })).toBe('docs:read')
  })
})

describe('parseScopes', () => {
  it('sorts, drops duplicates, freezes', () => {
    const list = parseScopes('scopes', ['b:x', 'a:*', 'b:x'])
    expect(list).toEqual(['a:*', 'b:x'])
    expect(Object.isFrozen(list)).toBe(true)
    expect(parseScopes('scopes', [])).toEqual([])
  })

  it('refuses what is no list, or too long; names the entry', () => {
    expect(() => parseScopes('scopes', 'a:b' as unknown as string[])).toThrow('scopes is not a list')
    expect(() => parseScopes('scopes', new Array(257).fill('a:b'))).toThrow('scopes has over 256 entries')
    expect(() => parseScopes('scopes', ['a:b', 'nope'])).toThrow('scopes[1] is not a scope')
    expect(() => parseScopes('scopes', ['a:*'], { pattern: false })).toThrow('scopes[0] is a pattern')
  })
})

describe('grants', () => {
  it.each([
    ['docs:read', 'docs:read', true],
    ['docs:*', 'docs:read', true],
    ['docs:*', 'docs:read:all', true],
    ['docs:*', 'docs:*', true],
    ['docs:*', 'docs:read:*', true],
    ['docs:*', 'docs', false],
    ['docs:*', 'docs:', false],
    ['docs:*', 'docsx:read', false],
    ['docs:*', 'doc:read', false],
    ['docs:read', 'docs:*', false],
    ['docs:read:*', 'docs:*', false],
    ['docs:read:*', 'docs:read', false],
    ['docs:read', 'docs:read:all', false],
    ['*', 'docs:read', false],
    ['', '', true],
  ] as const)('%s for %s: %s', (granted, wanted, answer) => {
    expect(grants(granted, wanted)).toBe(answer)
  })

  it('means what it says, part by part', () => {
    fc.assert(
      fc.property(scope, scope, (granted, wanted) => {
        expect(grants(granted, wanted)).toBe(model(granted, wanted))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('compileScopes', () => {
  it('grants what one of its scopes grants', () => {
    fc.assert(
      fc.property(fc.array(scope, { maxLength: 6 }), fc.array(scope, { maxLength: 6 }), (granted, wanted) => {
        const set = compileScopes(granted)
        expect(set.missing(wanted)).toEqual(wanted.filter((one) => !granted.some((has) => model(has, one))))
        for (const one of wanted) expect(set.has(one)).toBe(granted.some((has) => model(has, one)))
      }),
      { numRuns: 1000 },
    )
  })

  it('grants nothing without scopes, and nothing odd', () => {
    const none = compileScopes([])
    expect(none.missing(['a:b'])).toEqual(['a:b'])
    expect(none.missing([])).toEqual([])
    const all = compileScopes(['docs:*'])
    for (const odd of ['', ':', '*', 'docs', 'docs:', 'constructor', '__proto__']) expect(all.has(odd)).toBe(false)
  })

  it('answers long questions in time', () => {
    const set = compileScopes(Array.from({ length: 256 }, (_, i) => `r${i}:*`))
    const started = performance.now()
    for (let i = 0; i < 1000; i++) set.has(`x:${'a:'.repeat(60)}b`)
    expect(performance.now() - started).toBeLessThan(1000)
  })
})
