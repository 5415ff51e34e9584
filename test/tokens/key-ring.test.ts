import { createHash, createHmac, hkdfSync } from 'node:crypto'
import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { systemRandom } from '../../src/kernel/random.ts'
import { generateSecret, type KeyInput, KeyRing, UnsealError } from '../../src/tokens/key-ring.ts'

const secret = () => generateSecret()

describe('KeyRing', () => {
  it('digests by HMAC-SHA256 under an HKDF subkey', () => {
    const key = secret()
    const ring = KeyRing.from([{ id: 'a', secret: key }])
    expect(ring.digest('sk_x')).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(ring.digest('sk_x')).toBe(createHmac('sha256', ring.subkey('digest')).update('sk_x').digest('base64url'))
    expect(ring.digest('sk_x')).not.toBe(createHmac('sha256', key).update('sk_x').digest('base64url'))
  })

  it('has another subkey for each purpose and each key', () => {
    const ring = KeyRing.from([
      { id: 'a', secret: secret() },
      { id: 'b', secret: secret() },
    ])
    const purposes = ['digest', 'seal', 'sign', 'journal', 'backup', 'approval', 'webhook', 'check'] as const
    const subkeys = ['a', 'b'].flatMap((id) =>
      purposes.map((purpose) => ring.subkey(purpose, id).export().toString('hex')),
    )
    expect(new Set(subkeys).size).toBe(16)
    expect(subkeys.every((subkey) => subkey.length === 64)).toBe(true)
  })

  it('derives as RFC 5869 says: a known secret gives a known digest', () => {
    const ring = KeyRing.from([{ id: 'a', secret: 'correct horse battery staple 0123456789' }])
    const salt = createHash('sha256').update('tokenwright').digest()
    const subkey = hkdfSync('sha256', 'correct horse battery staple 0123456789', salt, 'tokenwright digest v1', 32)
    expect(ring.digest('sk_test')).toBe(createHmac('sha256', Buffer.from(subkey)).update('sk_test').digest('base64url'))
    // Pinned: another digest would lock out every stored token.
    expect(ring.digest('sk_test')).toMatchInlineSnapshot(`"PDr1UNDYsgYDFJHnTgZNRtbXuLYK_C3tCwrFc0OA79I"`)
    expect(ring.checkValue('a')).toMatchInlineSnapshot(`"jLh2w6cbfwAIEYSdnc6uT5r8VVsS8QkX6xQFEpRN720"`)
  })

  it('names a single secret by a fingerprint of its own', () => {
    const one = secret()
    expect(KeyRing.from(one).activeId).toBe(KeyRing.from(one).activeId)
    expect(KeyRing.from(one).activeId).not.toBe(KeyRing.from(secret()).activeId)
    expect(KeyRing.from(one).activeId).toMatch(/^[0-9a-f]{12}$/)
  })

  it('gives the digests of the other keys until they retire', () => {
    const b = secret()
    const ring = KeyRing.from([
      { id: 'a', secret: secret() },
      { id: 'b', secret: b, retireAt: 1000 },
    ])
    expect(ring.otherDigests('t', 999)).toEqual([
      { id: 'b', digest: KeyRing.from([{ id: 'b', secret: b }]).digest('t') },
    ])
    expect(ring.otherDigests('t', 1000)).toEqual([])
  })

  it.each<[string, unknown]>([
    ['a short secret', 'short'],
    ['31 bytes', `${'abcdefghij'.repeat(3)}a`],
    ['few distinct characters', 'abababab'.repeat(8)],
    ['nothing', undefined],
    ['an empty list', []],
    ['a key without id', [{ secret: 'x'.repeat(40) }]],
    ['a bad id', [{ id: ':sha256', secret: secret() }]],
    ['__proto__ as id', [{ id: '__proto__', secret: secret() }]],
    [
      'a doubled id',
      [
        { id: 'a', secret: secret() },
        { id: 'a', secret: secret() },
      ],
    ],
    ['an active key that retires', [{ id: 'a', secret: secret(), retireAt: 1 }]],
    [
      'a date that is none',
      [
        { id: 'a', secret: secret() },
        { id: 'b', secret: secret(), retireAt: 'soon' },
      ],
    ],
    ['17 keys', Array.from({ length: 17 }, (_, i) => ({ id: `k${i}`, secret: secret() }))],
  ])('refuses %s', (_, input) => {
    expect(() => KeyRing.from(input as KeyInput[])).toThrow(InvalidInputError)
  })

  it('shows no secret when it is printed', () => {
    const key = secret()
    const ring = KeyRing.from(key)
    ring.digest('t')
    const printed = inspect(ring, { depth: 10, showHidden: true }) + JSON.stringify(ring) + String(ring)
    expect(printed).not.toContain(key)
    expect(JSON.parse(JSON.stringify(ring))).toEqual({ active: ring.activeId, keys: [ring.activeId] })
  })
})

describe('seal', () => {
  const ring = KeyRing.from([
    { id: 'new', secret: secret() },
    { id: 'old', secret: secret() },
  ])

  it('opens with the same context, and only with that', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.array(fc.string(), { maxLength: 3 }), (text, context) => {
        const clean = Buffer.from(text).toString()
        const sealed = ring.seal(clean, context, systemRandom())
        expect(ring.unseal(sealed, context)).toBe(clean)
        expect(() => ring.unseal(sealed, [...context, 'x'])).toThrow(UnsealError)
      }),
    )
  })

  it('tells context parts apart: [ab, c] is not [a, bc]', () => {
    const sealed = ring.seal('text', ['ab', 'c'], systemRandom())
    expect(() => ring.unseal(sealed, ['a', 'bc'])).toThrow(UnsealError)
  })

  it('refuses any changed character', () => {
    const sealed = ring.seal('text', ['t'], systemRandom())
    const body = Buffer.from(sealed.slice(4), 'base64url')
    for (let i = 0; i < body.length; i++) {
      const changed = Buffer.from(body)
      changed[i] = (changed[i] as number) ^ 1
      expect(() => ring.unseal(`new.${changed.toString('base64url')}`, ['t'])).toThrow(UnsealError)
    }
    for (const broken of ['', 'new', 'new.', 'new.AAAA', `old${sealed.slice(3)}`, `gone${sealed.slice(3)}`]) {
      expect(() => ring.unseal(broken, ['t'])).toThrow(UnsealError)
    }
  })

  it('says nothing of the text when it fails', () => {
    const sealed = ring.seal('hunter2 hunter2', ['t'], systemRandom())
    try {
      ring.unseal(sealed, ['u'])
      expect.unreachable()
    } catch (error) {
      expect(inspect(error, { depth: 10 })).not.toContain('hunter2')
    }
  })
})
