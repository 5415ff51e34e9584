import { Buffer } from 'node:buffer'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  canonicalJson,
  checkJson,
  equalBytes,
  isJsonObject,
  type Json,
  lengthPrefixed,
} from '../../src/kernel/bytes.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'

describe('lengthPrefixed', () => {
  it('tells every two lists apart', () => {
    const list = fc.array(fc.stringMatching(/^[0-9:a]{0,6}$/), { maxLength: 5 })
    fc.assert(
      fc.property(list, list, (a, b) => {
        expect(lengthPrefixed(a) === lengthPrefixed(b)).toBe(JSON.stringify(a) === JSON.stringify(b))
      }),
    )
    expect(lengthPrefixed(['ab', '', 'c'])).toBe('2:ab0:1:c')
  })
})

describe('equalBytes', () => {
  it('compares content and length', () => {
    const bytes = (...values: number[]) => Uint8Array.from(values)
    expect(equalBytes(bytes(), bytes())).toBe(true)
    expect(equalBytes(bytes(1, 2), bytes(1, 2))).toBe(true)
    expect(equalBytes(bytes(1, 2), bytes(1, 3))).toBe(false)
    expect(equalBytes(bytes(1, 2), bytes(1, 2, 0))).toBe(false)
    expect(equalBytes(Buffer.from('abc'), bytes(97, 98, 99))).toBe(true)
  })
})

describe('isJsonObject', () => {
  it('knows plain objects, of any realm', () => {
    for (const value of [{}, { a: 1 }, Object.create(null), runInNewContext('({ a: 1 })')])
      expect(isJsonObject(value)).toBe(true)
    class Point {}
    const others = [
      null,
      undefined,
      1,
      'x',
      [],
      new Date(),
      new Map(),
      new Point(),
      () => 1,
      /x/,
      Object.create({ a: 1 }),
      Symbol('x'),
    ]
    for (const value of others) expect(isJsonObject(value)).toBe(false)
  })
})

describe('checkJson', () => {
  const refused = (value: unknown, message: string, limits?: { maxBytes?: number; maxDepth?: number }) => {
    expect(() => checkJson('metadata', value, limits)).toThrow(InvalidInputError)
    expect(() => checkJson('metadata', value, limits)).toThrow(message)
  }

  it('copies and freezes deeply', () => {
    const given = { team: { name: 'a', tags: ['x', { y: null }] }, on: true, n: -0, f: 1.5e300 }
    const copy = checkJson('metadata', given)
    expect(copy).toEqual({ ...given, n: 0 })
    given.team.tags.push('later')
    expect(copy).not.toEqual(given)
    const frozen = (value: unknown): boolean =>
      typeof value !== 'object' || value === null || (Object.isFrozen(value) && Object.values(value).every(frozen))
    expect(frozen(copy)).toBe(true)
  })

  it('copies whatever JSON.parse gives, and counts its bytes exactly', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string({ unit: 'grapheme' }), fc.jsonValue({ maxDepth: 5 })), (given) => {
        const text = JSON.stringify(given)
        fc.pre(!/"(__proto__|constructor|prototype)":|\\u0000/.test(text))
        const value: unknown = JSON.parse(text)
        const size = Buffer.byteLength(text)
        expect(JSON.stringify(checkJson('metadata', value, { maxBytes: size }))).toBe(text)
        refused(value, `metadata is larger than ${size - 1} bytes of JSON`, { maxBytes: size - 1 })
      }),
    )
  })

  it('refuses what is no object', () => {
    for (const value of [null, undefined, 'x', 5, [], new Date(), new Map(), () => 1])
      refused(value, 'metadata is not a plain object')
  })

  it('refuses what JSON would lose or change, and says where', () => {
    refused({ a: undefined }, 'metadata.a is undefined')
    refused({ a: { b: [1, Number.NaN] } }, 'metadata.a.b[1] is NaN')
    refused({ a: Number.POSITIVE_INFINITY }, 'metadata.a is Infinity')
    refused({ a: 5n }, 'metadata.a is a bigint')
    refused({ a: () => 1 }, 'metadata.a is a function')
    refused({ a: Symbol('x') }, 'metadata.a is a symbol')
    refused({ a: new Date() }, 'metadata.a is an instance of a class')
    refused({ a: new (class Point {})() }, 'metadata.a is an instance of a class')
    refused({ toJSON: () => ({}) }, 'metadata.toJSON is a function')
    refused({ a: new Array(3) }, 'metadata.a[0] is undefined')
    refused({ 'line\nbreak': 5n }, 'metadata[…] is a bigint')
    refused({ a: 'x\0' }, 'metadata.a holds a NUL')
    refused({ a: 'x\ud800' }, 'metadata.a holds a NUL or half of a surrogate pair')
    refused({ '\udc00': 1 }, 'metadata[…] holds a NUL or half of a surrogate pair')
    expect(checkJson('metadata', { a: '\u{1f600}' })).toEqual({ a: '\u{1f600}' })
  })

  it('refuses keys that reach prototypes, at any depth', () => {
    refused(JSON.parse('{"__proto__":{"admin":true}}'), 'metadata.__proto__ is not allowed as a key')
    refused(JSON.parse('{"a":[{"__proto__":1}]}'), 'metadata.a[0].__proto__ is not allowed as a key')
    refused({ constructor: 1 }, 'metadata.constructor is not allowed as a key')
    refused({ a: { prototype: 1 } }, 'metadata.a.prototype is not allowed as a key')
    expect(({} as { admin?: boolean }).admin).toBeUndefined()
  })

  it('ends on cycles, depth and size, fast', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    refused(cycle, 'metadata is nested deeper than 8 levels, or holds itself')
    const nested = (levels: number): unknown => (levels === 1 ? {} : { a: nested(levels - 1) })
    expect(checkJson('metadata', nested(8))).toEqual(nested(8))
    refused(nested(9), 'metadata is nested deeper than 8 levels')
    refused({ a: [[[]]] }, 'metadata is nested deeper than 3 levels', { maxDepth: 3 })
    refused({ a: 'x'.repeat(1 << 20) }, 'metadata is larger than 16384 bytes of JSON')
    refused({ a: new Array(1e9) }, 'metadata is larger than 16384 bytes of JSON')
    refused({ a: 'é'.repeat(8190) }, 'metadata is larger than 16384 bytes of JSON')
    expect(checkJson('metadata', { a: 'é'.repeat(8188) })).toBeDefined()
  })
})

describe('canonicalJson', () => {
  it('gives equal texts for equal values, whatever the order of keys', () => {
    const shuffle = (value: Json): Json =>
      Array.isArray(value)
        ? value.map(shuffle)
        : typeof value === 'object' && value !== null
          ? Object.fromEntries(
              Object.entries(value)
                .reverse()
                .map(([k, v]) => [k, shuffle(v)]),
            )
          : value
    fc.assert(
      fc.property(fc.jsonValue(), (given) => {
        const value = JSON.parse(JSON.stringify(given)) as Json
        const text = canonicalJson(value)
        expect(JSON.parse(text)).toEqual(value)
        expect(canonicalJson(shuffle(value))).toBe(text)
      }),
    )
  })

  it('sorts and writes as the example of RFC 8785, section 3.2.3', () => {
    const value = JSON.parse(
      '{"\\u20ac":"Euro Sign","\\r":"Carriage Return","\\ufb33":"Hebrew Letter Dalet With Dagesh","1":"One","\\ud83d\\ude00":"Emoji","\\u0080":"Control","\\u00f6":"o"}',
    )
    expect(Object.values(JSON.parse(canonicalJson(value)))).toEqual([
      'One',
      'Carriage Return',
      'Control',
      'o',
      'Euro Sign',
      'Emoji',
      'Hebrew Letter Dalet With Dagesh',
    ])
    expect(canonicalJson({ b: [56.0, 1e30, 4.5, 2e-3, 1e-27, -0], a: null, c: '\u000f"\\/' })).toBe(
      '{"a":null,"b":[56,1e+30,4.5,0.002,1e-27,0],"c":"\\u000f\\"\\\\/"}',
    )
  })

  it('refuses what has no canonical text', () => {
    const cycle: unknown[] = []
    cycle.push(cycle)
    for (const value of [
      undefined,
      { a: undefined },
      Number.NaN,
      5n,
      new Date(),
      [() => 1],
      '\ud800',
      { '\udc00': 1 },
      cycle,
    ]) {
      expect(() => canonicalJson(value)).toThrow(InvalidInputError)
    }
  })
})
