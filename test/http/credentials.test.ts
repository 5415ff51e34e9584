import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readCredentials, readQueryToken, stripQueryToken } from '../../src/http/credentials.ts'
import { rawHeadersOf } from '../../src/http/request.ts'

const read = (...raw: string[]) => readCredentials(raw, ['x-api-key'])
const invalid = expect.objectContaining({ ok: false, code: 'invalid_request', status: 400 })

describe('readCredentials', () => {
  it('reads Bearer in any case, and other spellings of the header name', () => {
    for (const name of ['Authorization', 'authorization', 'AUTHORIZATION']) {
      for (const scheme of ['Bearer', 'bearer', 'BEARER', 'bEaReR']) expect(read(name, `${scheme} sk_1`)).toBe('sk_1')
    }
    expect(read('Host', 'a', 'Authorization', 'Bearer   sk_1  ', 'Accept', '*/*')).toBe('sk_1')
  })

  it('reads the header named instead', () => {
    expect(read('X-API-Key', 'sk_1')).toBe('sk_1')
    expect(readCredentials(['Api-Key', 'sk_1', 'X-Other', 'sk_2'], ['api-key', 'x-api-key'])).toBe('sk_1')
    expect(readCredentials(['X-API-Key', 'sk_1'], [])).toBeUndefined()
  })

  it('finds nothing where there is nothing', () => {
    expect(read()).toBeUndefined()
    expect(read('X-API-Key', '')).toBeUndefined()
    expect(read('Authorization', '')).toBeUndefined()
    expect(read('Cookie', 'token=sk_1; authorization=Bearer sk_1')).toBeUndefined()
    expect(read('Proxy-Authorization', 'Bearer sk_1')).toBeUndefined()
  })

  it('leaves other schemes alone, so that Basic does not shadow a good X-API-Key', () => {
    expect(read('Authorization', 'Basic dTpw')).toBeUndefined()
    expect(read('Authorization', 'BearerX sk_1')).toBeUndefined()
    expect(read('Authorization', 'Bear sk_1')).toBeUndefined()
    expect(read('Authorization', 'Basic dTpw', 'X-API-Key', 'sk_1')).toBe('sk_1')
    expect(read('X-API-Key', 'sk_1', 'Authorization', 'Digest a="b"')).toBe('sk_1')
  })

  it('refuses repeated headers and two ways at once, the same value or not (RFC 6750, 3.1)', () => {
    expect(read('Authorization', 'Bearer a', 'authorization', 'Bearer b')).toEqual(invalid)
    expect(read('Authorization', 'Bearer a', 'Authorization', 'Bearer a')).toEqual(invalid)
    expect(read('Authorization', 'Basic a', 'Authorization', 'Bearer a')).toEqual(invalid)
    expect(read('X-API-Key', 'a', 'x-api-key', 'a')).toEqual(invalid)
    expect(read('X-API-Key', '', 'x-api-key', 'a')).toEqual(invalid)
    expect(read('Authorization', 'Bearer a', 'X-API-Key', 'b')).toEqual(invalid)
    expect(read('X-API-Key', 'a', 'Authorization', 'Bearer a')).toEqual(invalid)
    expect(readCredentials(['X-API-Key', 'a', 'Api-Key', 'a'], ['api-key', 'x-api-key'])).toEqual(invalid)
  })

  it('refuses Bearer without a token or with several words', () => {
    expect(read('Authorization', 'Bearer')).toEqual(invalid)
    expect(read('Authorization', 'Bearer   ')).toEqual(invalid)
    expect(read('Authorization', 'Bearer a b')).toEqual(invalid)
    expect(read('Authorization', 'Bearer a, Bearer b')).toEqual(invalid)
  })

  it('never puts what was sent into the refusal', () => {
    fc.assert(
      fc.property(fc.string({ minLength: 12, unit: 'binary' }), (secret) => {
        const answer = read('Authorization', `Bearer ${secret} ${secret}`, 'X-API-Key', secret)
        expect(JSON.stringify(answer)).not.toContain(secret)
        expect(Object.isFrozen(answer)).toBe(true)
      }),
    )
  })

  it('gives back any one word, whole', () => {
    const word = fc.string({
      minLength: 1,
      unit: fc.integer({ min: 0x21, max: 0xff }).map((code) => String.fromCharCode(code)),
    })
    fc.assert(
      fc.property(word, (token) => {
        expect(read('Authorization', `Bearer ${token}`)).toBe(token)
        expect(read('X-API-Key', token)).toBe(token)
      }),
    )
  })

  it('takes anything without throwing, in time linear to its size', () => {
    fc.assert(
      fc.property(fc.array(fc.string({ unit: 'binary' })), (raw) => {
        readCredentials(raw, ['x-api-key'])
      }),
    )
    const spaces = ' '.repeat(1_000_000)
    const from = performance.now()
    for (const value of [
      `Bearer ${spaces}`,
      `Bearer ${spaces}a`,
      `Bearer a${spaces}b`,
      `Bearer ${'a'.repeat(1_000_000)}`,
    ])
      read('Authorization', value)
    read(...Array.from({ length: 100_000 }, (_, i) => `x-api-ke${i % 10}`))
    expect(performance.now() - from).toBeLessThan(1000)
  })
})

describe('rawHeadersOf', () => {
  it('prefers what came over the wire, and else spreads the values by name', () => {
    const headers = { authorization: 'Bearer a', 'x-api-key': ['b', 'c'], gone: undefined }
    expect(rawHeadersOf({ method: 'GET', headers, rawHeaders: ['A', 'b'] })).toEqual(['A', 'b'])
    expect(rawHeadersOf({ method: 'GET', headers })).toEqual([
      'authorization',
      'Bearer a',
      'x-api-key',
      'b',
      'x-api-key',
      'c',
    ])
    expect(
      readCredentials(rawHeadersOf({ method: 'GET', headers: { 'x-api-key': ['b', 'b'] } }), ['x-api-key']),
    ).toEqual(invalid)
  })
})

describe('a token in the URL', () => {
  it('is read by exact name and decoded', () => {
    expect(readQueryToken('/a?api_key=sk%2B1&b=2', 'api_key')).toBe('sk+1')
    expect(readQueryToken('/a?b=2&api_key=sk+1#x', 'api_key')).toBe('sk+1')
    expect(readQueryToken('https://host/a?api_key=a=b', 'api_key')).toBe('a=b')
    for (const url of [
      '/a',
      '/a?',
      '/a?api_key',
      '/a?api_key=',
      '/a?api_keys=1',
      '/a?xapi_key=1',
      '/api_key=1',
      '/a#?api_key=1',
    ]) {
      expect(readQueryToken(url, 'api_key')).toBeUndefined()
    }
  })

  it('is refused when repeated or badly encoded', () => {
    expect(readQueryToken('/a?api_key=1&api_key=1', 'api_key')).toEqual(invalid)
    expect(readQueryToken('/a?api_key=%', 'api_key')).toEqual(invalid)
    expect(readQueryToken('/a?api_key=%ff', 'api_key')).toEqual(invalid)
  })

  it('can be stripped, leaving the rest as it was', () => {
    expect(stripQueryToken('/a?api_key=1', 'api_key')).toBe('/a')
    expect(stripQueryToken('/a?x=1&api_key=1&y=%20&api_key=2#f', 'api_key')).toBe('/a?x=1&y=%20#f')
    expect(stripQueryToken('/a?api_keys=1&', 'api_key')).toBe('/a?api_keys=1&')
    expect(stripQueryToken('/a?api_key', 'api_key')).toBe('/a')
    fc.assert(
      fc.property(fc.webUrl({ withQueryParameters: true, withFragments: true }), (url) => {
        expect(stripQueryToken(url, 'api_key')).toBe(url)
      }),
    )
  })
})
