import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it, vi } from 'vitest'
import { Authenticator, type HttpDecision } from '../../src/http/authenticate.ts'
import type { AuthenticateOptions } from '../../src/http/options.ts'
import type { HttpRequest } from '../../src/http/request.ts'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { denied, GOOD, limit, StubTokens, tokenView, verified } from './stub-tokens.ts'

const HEADERS = { authorization: `Bearer ${GOOD}` }

function request(details: Partial<HttpRequest> = {}): HttpRequest {
  return { method: 'GET', headers: HEADERS, ip: '203.0.113.7', protocol: 'http', url: '/', ...details }
}

async function decide(
  options: AuthenticateOptions<unknown>,
  details: Partial<HttpRequest> = {},
  tokens = new StubTokens(),
) {
  const decision = await new Authenticator(tokens, options).authenticate(request(details), undefined)
  return { decision, tokens, headers: new Headers([...decision.headers]), asked: tokens.asked[0] }
}

function codeOf(decision: HttpDecision): string {
  return decision.kind === 'denied' ? decision.refused.code : decision.kind
}

describe('options of the authenticator', () => {
  const make = (options: object) => () => new Authenticator(new StubTokens(), options)

  it('are refused at once, by name', () => {
    const wrong: { [name: string]: unknown[] } = {
      scopes: ['orders:read', [''], ['a b'], ['a"b'], ['a\\'], [1], Array(101).fill('a:b')],
      tool: ['', 5, null],
      args: ['x', [], null],
      level: ['root', 1, ''],
      cost: [-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, '1', 2 ** 53],
      approval: ['x'],
      caller: [5],
      optional: [1],
      preflight: ['yes'],
      requireHttps: ['true'],
      realm: ['', 'a\r\nb', 'ü', 5, 'x'.repeat(201)],
      headers: ['x-api-key', [''], ['a b'], ['Authorization'], ['cookie'], ['Set-Cookie'], ['a:b']],
      query: ['', 'a b', 'a&b', 'a=b', 5],
      trustedIp: ['x-real-ip'],
    }
    for (const [name, values] of Object.entries(wrong)) {
      for (const value of values) {
        expect(make({ [name]: value }), `${name}: ${inspect(value)}`).toThrow(InvalidInputError)
        expect(make({ [name]: value })).toThrow(expect.objectContaining({ field: name, code: 'ERR_INVALID_INPUT' }))
      }
    }
  })

  it('must be known by name', () => {
    expect(make({ scope: ['a:b'] })).toThrow(/unknown field 'scope'; the fields are scopes, tool/)
    expect(make(JSON.parse('{"__proto__": 1}'))).toThrow(InvalidInputError)
    expect(make(JSON.parse('{"constructor": 1}'))).toThrow(InvalidInputError)
    expect(make([])).toThrow(InvalidInputError)
    expect(make({ onDenied: () => 1 })).toThrow(InvalidInputError)
  })

  it('may be undefined', () => {
    expect(make({ scopes: undefined, tool: undefined, realm: undefined, headers: undefined })).not.toThrow()
  })

  it('need a token service', () => {
    for (const wrong of [undefined, null, {}, { verify: () => 1 }, 'tokens']) {
      expect(() => new Authenticator(wrong as never)).toThrow(expect.objectContaining({ field: 'tokens' }))
    }
  })

  it('are read once: changing them later changes nothing', async () => {
    const options = { scopes: ['orders:read'], optional: true }
    const authenticator = new Authenticator(new StubTokens(), options)
    options.scopes.push('root:all')
    options.optional = false
    expect((await authenticator.authenticate(request(), undefined)).kind).toBe('ok')
    expect((await authenticator.authenticate(request({ headers: {} }), undefined)).kind).toBe('pass')
  })
})

describe('what is asked of the token', () => {
  it('is the options, and the address that the framework knows', async () => {
    const { asked } = await decide({
      scopes: ['orders:read'],
      tool: 'get_bill',
      args: { id: 1 },
      cost: 3,
      caller: 'web',
    })
    expect(asked).toEqual({
      presented: GOOD,
      context: {
        ip: '203.0.113.7',
        scopes: ['orders:read'],
        level: 'read_only',
        tool: 'get_bill',
        args: { id: 1 },
        cost: 3,
        approval: undefined,
        caller: 'web',
        finishLater: true,
      },
    })
  })

  it('is read_only for GET and HEAD, standard for the rest, unless said', async () => {
    const level = async (method: string, options = {}) => (await decide(options, { method })).asked?.context.level
    for (const method of ['GET', 'HEAD']) expect(await level(method)).toBe('read_only')
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'get', 'PROPFIND'])
      expect(await level(method)).toBe('standard')
    expect(await level('GET', { level: 'admin' })).toBe('admin')
    expect(await level('DELETE', { level: 'read_only' })).toBe('read_only')
  })

  it('may come from functions of the request, now or later', async () => {
    const options: AuthenticateOptions<{ tool: string }> = {
      tool: (host) => host.tool,
      args: async () => ({ id: 7 }),
      cost: () => 2,
      approval: async () => 'apr_1',
      caller: () => undefined,
      trustedIp: () => '198.51.100.1',
    }
    const tokens = new StubTokens()
    await new Authenticator(tokens, options).authenticate(request(), { tool: 'get_bill' })
    expect(tokens.asked[0]?.context).toMatchObject({
      tool: 'get_bill',
      args: { id: 7 },
      cost: 2,
      approval: 'apr_1',
      ip: '198.51.100.1',
    })
  })

  it('never takes the address from a header', async () => {
    const headers = { ...HEADERS, 'x-forwarded-for': '10.0.0.1', forwarded: 'for=10.0.0.1', 'x-real-ip': '10.0.0.1' }
    expect((await decide({}, { headers })).asked?.context.ip).toBe('203.0.113.7')
    expect((await decide({}, { headers, ip: undefined })).asked?.context.ip).toBeUndefined()
  })

  it('fails with what a function of the host throws, and verifies nothing', async () => {
    const boom = new Error('boom')
    for (const name of ['tool', 'args', 'cost', 'approval', 'caller', 'trustedIp']) {
      const thrown = () => {
        throw boom
      }
      const tokens = new StubTokens()
      await expect(decide({ [name]: thrown }, {}, tokens)).rejects.toBe(boom)
      if (name !== 'trustedIp')
        await expect(decide({ [name]: () => Promise.reject(boom) }, {}, tokens)).rejects.toBe(boom)
      expect(tokens.asked).toEqual([])
    }
  })

  it('fails with what broken infrastructure throws', async () => {
    const tokens = new StubTokens()
    tokens.answer = () => Promise.reject(new Error('store gone'))
    await expect(decide({}, {}, tokens)).rejects.toThrow('store gone')
  })
})

describe('without credentials', () => {
  it('a request is refused, counted, and asks no function of the host', async () => {
    const tool = () => {
      throw new Error('not to be asked')
    }
    const { decision, asked, headers } = await decide({ tool, scopes: ['a:b'] }, { headers: {} })
    expect(codeOf(decision)).toBe('missing')
    expect(asked).toEqual({ presented: undefined, context: { ip: '203.0.113.7', finishLater: true } })
    expect(headers.get('www-authenticate')).toBe('Bearer realm="api"')
    expect(headers.has('ratelimit')).toBe(false)
  })

  it('passes where credentials are optional, and bad ones are refused all the same', async () => {
    const passed = await decide({ optional: true }, { headers: {} })
    expect(passed.decision).toEqual({ kind: 'pass', headers: [['Vary', 'Authorization, X-API-Key']] })
    expect(passed.tokens.asked).toEqual([])
    expect(codeOf((await decide({ optional: true }, { headers: { authorization: 'Bearer nope' } })).decision)).toBe(
      'unknown',
    )
    expect(codeOf((await decide({ optional: true }, { headers: { authorization: 'Bearer' } })).decision)).toBe(
      'invalid_request',
    )
  })

  it('passes a CORS preflight, unless told not to', async () => {
    const preflight = {
      method: 'OPTIONS',
      headers: { Origin: 'https://a.example', 'Access-Control-Request-Method': 'POST' },
    }
    expect((await decide({ requireHttps: true }, preflight)).decision).toEqual({ kind: 'pass', headers: [] })
    expect(codeOf((await decide({ preflight: false }, preflight)).decision)).toBe('missing')
    expect(codeOf((await decide({}, { ...preflight, method: 'GET' })).decision)).toBe('missing')
    expect(codeOf((await decide({}, { ...preflight, headers: { origin: 'https://a.example' } })).decision)).toBe(
      'missing',
    )
    expect(
      codeOf((await decide({}, { ...preflight, headers: { 'access-control-request-method': 'PUT' } })).decision),
    ).toBe('missing')
  })
})

describe('requireHttps', () => {
  it('refuses before anything is looked up, whatever a header claims', async () => {
    for (const protocol of ['http', undefined, 'https, http']) {
      const headers = { ...HEADERS, 'x-forwarded-proto': 'https' }
      const { decision, tokens } = await decide({ requireHttps: true }, { protocol, headers })
      expect(decision).toMatchObject({
        kind: 'denied',
        status: 403,
        refused: { code: 'insecure_transport' },
        call: undefined,
      })
      expect(tokens.asked).toEqual([])
    }
  })

  it('lets https pass', async () => {
    expect((await decide({ requireHttps: true }, { protocol: 'https' })).decision.kind).toBe('ok')
  })
})

describe('a token in the URL', () => {
  const url = `/orders?api_key=${GOOD}`

  it('is ignored unless asked for', async () => {
    expect(codeOf((await decide({}, { url, headers: {} })).decision)).toBe('missing')
  })

  it('is taken when no header gives one, and kept out of caches and Referer', async () => {
    const { decision, headers } = await decide({ query: 'api_key' }, { url, headers: {} })
    expect(decision.kind).toBe('ok')
    expect(headers.get('cache-control')).toBe('private')
    expect(headers.get('referrer-policy')).toBe('no-referrer')
    const both = await decide({ query: 'api_key' }, { url: '/?api_key=other' })
    expect(both.asked?.presented).toBe(GOOD)
    expect(both.headers.has('referrer-policy')).toBe(false)
  })

  it('is refused when repeated', async () => {
    expect(codeOf((await decide({ query: 'api_key' }, { url: `${url}&api_key=x`, headers: {} })).decision)).toBe(
      'invalid_request',
    )
  })
})

describe('the answer', () => {
  it('of a good token tells its limits, and varies by the headers that may hold it', async () => {
    const tokens = new StubTokens()
    tokens.answer = () => verified({ limits: [limit()] })
    const { headers } = await decide({ headers: ['X-Key', 'x-key', 'Api-Key'] }, {}, tokens)
    expect([...headers]).toEqual([
      ['ratelimit', '"default";r=99;t=1'],
      ['ratelimit-policy', '"default";q=100;w=60'],
      ['vary', 'Authorization, X-Key, x-key, Api-Key'],
    ])
  })

  it('of a token without limits has no RateLimit headers', async () => {
    expect([...(await decide({})).headers.keys()]).toEqual(['vary'])
  })

  it('of a superseded version says so', async () => {
    const tokens = new StubTokens()
    const [version] = tokenView().versions
    const versions =
      version === undefined ? [] : [{ ...version, supersededAt: 1_700_000_000_000, endsAt: 1_700_003_600_000 }]
    tokens.answer = () => verified({ version: 'previous', token: tokenView({ versions }) })
    const { headers } = await decide({}, {}, tokens)
    expect(headers.get('deprecation')).toBe('@1700000000')
    expect(headers.get('sunset')).toBe('Tue, 14 Nov 2023 23:13:20 GMT')
  })

  it('of a limit reached agrees with itself', async () => {
    const tokens = new StubTokens()
    tokens.answer = () =>
      denied('rate_limited', { retryAfterMs: 1200, limits: [limit({ remaining: 0, resetMs: 60_000 })] })
    const { decision, headers } = await decide({}, {}, tokens)
    expect(decision).toMatchObject({ status: 429, contentType: 'application/problem+json' })
    expect(headers.get('retry-after')).toBe('2')
    expect(headers.get('ratelimit')).toBe('"default";r=0;t=60')
    expect(headers.get('cache-control')).toBe('no-store')
    expect(headers.has('www-authenticate')).toBe(false)
    expect(JSON.parse((decision as { body: string }).body)).toMatchObject({
      status: 429,
      code: 'rate_limited',
      retryAfter: 2,
    })
  })

  it('of an unavailable store has Retry-After', async () => {
    const tokens = new StubTokens()
    tokens.answer = () => denied('unavailable', { retryAfterMs: 500 })
    expect((await decide({}, {}, tokens)).headers.get('retry-after')).toBe('1')
  })

  it('never holds what was presented', async () => {
    const secret = fc.string({ minLength: 16, unit: fc.constantFrom(...'abcdefgh0123456789') })
    await fc.assert(
      fc.asyncProperty(secret, fc.constantFrom('Bearer ', 'bearer x ', ''), async (token, scheme) => {
        const headers = { authorization: scheme + token, 'x-api-key': token }
        for (const given of [headers, { authorization: headers.authorization }, { 'x-api-key': token }]) {
          const { decision } = await decide({}, { headers: given })
          expect(inspect(decision, { depth: 9, showHidden: true }) + JSON.stringify(decision)).not.toContain(token)
        }
      }),
      { numRuns: 50 },
    )
  })
})

describe('the outcome of a call', () => {
  it('is recorded once, with duration, address and caller', async () => {
    const { decision, tokens } = await decide({ caller: 'web' })
    tokens.clock.at += 25
    if (decision.kind !== 'ok') throw new Error('the token is good')
    decision.call?.finish(201)
    decision.call?.finish(500)
    expect(tokens.finished).toEqual([
      { verification: decision.verified, outcome: { status: 201, durationMs: 25, ip: '203.0.113.7', caller: 'web' } },
    ])
  })

  it('is recorded for refusals of a verification, and there is none for those without', async () => {
    const refused = await decide({}, { headers: { authorization: 'Bearer nope' } })
    if (refused.decision.kind !== 'denied') throw new Error('the token is unknown')
    refused.decision.call?.finish(401)
    expect(refused.tokens.finished).toMatchObject([{ verification: { code: 'unknown' }, outcome: { status: 401 } }])
    expect((await decide({}, { headers: { authorization: 'Bearer' } })).decision).toMatchObject({ call: undefined })
  })

  it('that the recorder refuses is a warning, not a crash', async () => {
    const tokens = new StubTokens()
    const { decision } = await decide({}, {}, tokens)
    tokens.finished.push = () => {
      throw new TypeError('recorder broken')
    }
    const warn = vi.spyOn(process, 'emitWarning').mockImplementation(() => undefined)
    if (decision.kind === 'ok') decision.call?.finish(200)
    expect(warn.mock.calls).toEqual([[expect.objectContaining({ message: 'recorder broken' })]])
    warn.mockRestore()
  })

  it('is not promised where nobody records it', async () => {
    const { decision, asked } = await decide({}, {}, new StubTokens({ usage: false }))
    expect(decision).toMatchObject({ kind: 'ok', call: undefined })
    expect(asked?.context.finishLater).toBe(false)
  })
})
