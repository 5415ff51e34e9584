import { describe, expect, it } from 'vitest'
import { defineScopes, type ScopeCatalogOptions } from '../../src/access/scope-catalog.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { RISKS, type Risk } from '../../src/tokens/risk.ts'

const catalog = defineScopes({
  scopes: {
    'file:read': { risk: 'low', tools: ['read_file', 'list_files'], description: 'Read files' },
    'file:write': { risk: 'high', tools: ['write_file', 'list_files'], implies: ['file:read', 'audit:append'] },
    'audit:append': { risk: 'moderate' },
    'host:reboot': { risk: 'critical', tools: ['reboot'], implies: ['file:write'] },
  },
  meta: { readonly: ['file:read'], files: ['file:*'], admin: ['readonly', 'files', 'host:reboot'] },
})

describe('defineScopes', () => {
  it('knows its names', () => {
    expect(catalog.scopes).toEqual(['audit:append', 'file:read', 'file:write', 'host:reboot'])
    expect(catalog.meta).toEqual(['admin', 'files', 'readonly'])
    for (const name of ['file:read', 'file:*', 'readonly', 'admin']) expect(catalog.has(name)).toBe(true)
    for (const name of ['file:delete', 'files:*', '*', 'file', '', 'constructor', '__proto__', 'toString'])
      expect(catalog.has(name)).toBe(false)
    expect(Object.isFrozen(catalog)).toBe(true)
  })

  it('expands meta scopes and adds what is implied, through every step', () => {
    expect(catalog.expand([])).toEqual([])
    expect(catalog.expand(['readonly'])).toEqual(['file:read'])
    expect(catalog.expand(['file:write'])).toEqual(['audit:append', 'file:read', 'file:write'])
    expect(catalog.expand(['host:reboot'])).toEqual(['audit:append', 'file:read', 'file:write', 'host:reboot'])
    expect(catalog.expand(['file:*'])).toEqual(['audit:append', 'file:*'])
    expect(catalog.expand(['files'])).toEqual(['audit:append', 'file:*'])
    expect(catalog.expand(['admin'])).toEqual(['audit:append', 'file:*', 'file:read', 'file:write', 'host:reboot'])
    expect(Object.isFrozen(catalog.expand(['admin']))).toBe(true)
    expect(catalog.expand(catalog.expand(['admin']))).toEqual(catalog.expand(['admin']))
  })

  it('refuses unknown scopes with the names nearest to them', () => {
    expect(() => catalog.validate('scopes', ['file:read', 'readonly', 'file:*'])).not.toThrow()
    const refused = (scopes: unknown, message: string) => {
      expect(() => catalog.validate('scopes', scopes as string[])).toThrow(InvalidInputError)
      expect(() => catalog.validate('scopes', scopes as string[])).toThrow(message)
    }
    refused(
      ['file:read', 'file:wrte'],
      'scopes[1] is not in the catalogue of scopes: file:wrte; did you mean file:write?',
    )
    refused(['readnly'], 'did you mean readonly?')
    refused(['something:else'], 'define it there, or use one that is')
    refused(['x\n'], 'is not in the catalogue of scopes: "x\\n"')
    refused(['x'.repeat(1_000_000)], 'scopes[0] is not in the catalogue')
    refused([5], 'scopes[0] is not in the catalogue of scopes;')
    refused('file:read', 'scopes is not a list')
    refused(new Array(257).fill('file:read'), 'scopes has over 256 entries')
    expect(() => catalog.expand(['nope:x'])).toThrow(InvalidInputError)
  })

  it('tells which scopes open a tool', () => {
    expect(catalog.scopesForTool('list_files')).toEqual(['file:read', 'file:write'])
    expect(catalog.scopesForTool('reboot')).toEqual(['host:reboot'])
    for (const tool of ['nope', 'constructor', '']) expect(catalog.scopesForTool(tool)).toEqual([])
  })

  it('tells risks, the highest where several count', () => {
    const risks: [string, Risk | undefined][] = [
      ['file:read', 'low'],
      ['file:*', 'high'],
      ['readonly', 'low'],
      ['files', 'high'],
      ['admin', 'critical'],
      ['nope:x', undefined],
      ['nope:*', undefined],
      ['constructor', undefined],
    ]
    for (const [scope, risk] of risks) expect(catalog.riskOf(scope)).toBe(risk)
    expect(
      ['read_file', 'list_files', 'reboot', 'nope', 'constructor'].map((tool) => catalog.riskOfTool(tool)),
    ).toEqual(['low', 'high', 'critical', undefined, undefined])
    expect(RISKS).toEqual(['low', 'moderate', 'high', 'critical'])
  })
})

describe('a bad catalogue', () => {
  const low = { risk: 'low' } as const
  it.each([
    ['no scopes', { scopes: null }, 'scopes is not an object'],
    ['a scope that is none', { scopes: { File: low } }, 'scopes.File is not a scope'],
    ['a pattern as a scope', { scopes: { 'file:*': low } }, 'scopes.file:* is a pattern'],
    ['no definition', { scopes: { 'file:read': null } }, 'scopes.file:read is not a definition'],
    [
      'no risk',
      { scopes: { 'file:read': {} } },
      'scopes.file:read.risk is not a risk; use low, moderate, high, critical',
    ],
    ['an unknown risk', { scopes: { 'file:read': { risk: 'huge' } } }, 'scopes.file:read.risk is not a risk'],
    [
      'a bad tool',
      { scopes: { 'file:read': { risk: 'low', tools: [''] } } },
      'scopes.file:read.tools holds no good name of a tool',
    ],
    [
      'tools that are no list',
      { scopes: { 'file:read': { risk: 'low', tools: 'x' } } },
      'scopes.file:read.tools is not a list',
    ],
    [
      'an unknown implied scope',
      { scopes: { 'a:b': { risk: 'low', implies: ['a:c'] } } },
      'scopes.a:b.implies names a:c, which is not defined',
    ],
    [
      'an implied pattern',
      { scopes: { 'a:b': { risk: 'low', implies: ['a:*'] } } },
      'scopes.a:b.implies names a:*, which is not defined',
    ],
    [
      'itself implied',
      { scopes: { 'a:b': { risk: 'low', implies: ['a:b'] } } },
      'implies goes in a circle: a:b -> a:b',
    ],
    [
      'a circle',
      {
        scopes: {
          'a:b': { risk: 'low', implies: ['a:c'] },
          'a:c': { risk: 'low', implies: ['a:d'] },
          'a:d': { risk: 'low', implies: ['a:c'] },
        },
      },
      'implies goes in a circle: a:c -> a:d -> a:c',
    ],
    ['a bad meta name', { scopes: { 'a:b': low }, meta: { 'a:x': ['a:b'] } }, 'meta.a:x is not a name'],
    ['an unknown member', { scopes: { 'a:b': low }, meta: { m: ['a:c'] } }, 'meta.m names a:c, which is not defined'],
    [
      'a pattern of nothing',
      { scopes: { 'a:b': low }, meta: { m: ['b:*'] } },
      'meta.m names b:*, which is not defined',
    ],
    ['members that are no list', { scopes: { 'a:b': low }, meta: { m: 'a:b' } }, 'meta.m is not a list'],
    [
      'a circle of meta scopes',
      { scopes: { 'a:b': low }, meta: { m: ['n'], n: ['a:b', 'm'] } },
      'meta goes in a circle: m -> n -> m',
    ],
    [
      'too many',
      { scopes: Object.fromEntries(Array.from({ length: 2001 }, (_, i) => [`a:b${i}`, low])) },
      'scopes defines over 2000 scopes',
    ],
  ])('with %s is refused', (_name, options, message) => {
    expect(() => defineScopes(options as unknown as ScopeCatalogOptions)).toThrow(InvalidInputError)
    expect(() => defineScopes(options as unknown as ScopeCatalogOptions)).toThrow(message)
  })

  it('is no longer the host to change', () => {
    const members = ['a:b']
    const own = defineScopes({ scopes: { 'a:b': low, 'a:c': low }, meta: { m: members } })
    members.push('a:c')
    expect(own.expand(['m'])).toEqual(['a:b'])
  })

  it('may have long chains', () => {
    const scopes = Object.fromEntries(
      Array.from({ length: 2000 }, (_, i) => [
        `a:b${i}`,
        { risk: 'low' as const, ...(i < 1999 ? { implies: [`a:b${i + 1}`] } : {}) },
      ]),
    )
    expect(defineScopes({ scopes }).expand(['a:b1900'])).toHaveLength(100)
  })
})
