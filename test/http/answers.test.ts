import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { challenge } from '../../src/http/challenge.ts'
import { deprecationHeaders } from '../../src/http/deprecation.ts'
import { problemDetails, retryAfterSeconds } from '../../src/http/problem.ts'
import { quoted } from '../../src/http/quoted.ts'
import { rateLimit, rateLimitPolicy } from '../../src/http/rate-headers.ts'
import { DENIAL_STATUS, type DenialCode } from '../../src/tokens/verification.ts'
import { denied, limit, tokenView, verified } from './stub-tokens.ts'

const codes = Object.keys(DENIAL_STATUS) as DenialCode[]
const QUOTED = /^"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"$/

describe('quoted', () => {
  it('makes one quoted string of anything', () => {
    expect(quoted('api')).toBe('"api"')
    expect(quoted('a "b" \\c')).toBe('"a \\"b\\" \\\\c"')
    expect(quoted('a\r\nSet-Cookie: x=ü')).toBe('"a??Set-Cookie: x=?"')
    fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => QUOTED.test(quoted(text))))
  })
})

describe('challenge (RFC 6750, section 3)', () => {
  it('names the realm alone when no credentials came', () => {
    expect(challenge('api', denied('missing'), ['a:b'])).toBe('Bearer realm="api"')
  })

  it('calls every other 401 invalid_token', () => {
    for (const code of codes.filter((code) => DENIAL_STATUS[code] === 401 && code !== 'missing')) {
      expect(challenge('api', denied(code), [])).toMatch(
        /^Bearer realm="api", error="invalid_token", error_description="[^"]+"$/,
      )
    }
  })

  it('tells the scopes of the route, and those missing besides', () => {
    const answer = challenge('api', denied('insufficient_scope', { missingScopes: ['b:c', 'd:*'] }), ['a:b', 'b:c'])
    expect(answer).toMatch(/, error="insufficient_scope", .*, scope="a:b b:c d:\*"$/)
  })

  it('lets no scope break out of the quotes', () => {
    const missingScopes = ['a" x="', 'a\\', 'a b', 'a\r\nX: y', '', 'ok:ok']
    expect(challenge('api', denied('insufficient_scope', { missingScopes }), [])).toMatch(/, scope="ok:ok"$/)
    expect(challenge('api', denied('insufficient_scope', { missingScopes: ['"'] }), [])).not.toContain('scope=')
  })

  it('is absent where another token of the same kind would not help', () => {
    const others = codes.filter((code) => DENIAL_STATUS[code] !== 401 && code !== 'insufficient_scope')
    expect(others).toHaveLength(8)
    for (const code of others) expect(challenge('api', denied(code), ['a:b'])).toBeUndefined()
  })
})

describe('retryAfterSeconds', () => {
  it('is whole seconds, rounded up, at least 1', () => {
    for (const [ms, seconds] of [
      [0, 1],
      [1, 1],
      [1000, 1],
      [1001, 2],
      [59_999.5, 60],
      [-5, 1],
    ] as const) {
      expect(retryAfterSeconds(denied('rate_limited', { retryAfterMs: ms }))).toBe(seconds)
      expect(retryAfterSeconds(denied('unavailable', { retryAfterMs: ms }))).toBe(seconds)
    }
  })

  it('is absent where waiting will not help, and always there with 503', () => {
    expect(retryAfterSeconds(denied('quota_exceeded'))).toBeUndefined()
    expect(retryAfterSeconds(denied('rate_limited', { retryAfterMs: Number.POSITIVE_INFINITY }))).toBeUndefined()
    expect(retryAfterSeconds(denied('unavailable'))).toBe(1)
    expect(retryAfterSeconds(denied('expired', { retryAfterMs: 1000 }))).toBeUndefined()
  })
})

describe('problemDetails (RFC 9457)', () => {
  it('has the five members for every code, and a title for every status', () => {
    for (const code of codes) {
      const problem = problemDetails(denied(code), undefined)
      expect(Object.keys(problem)).toEqual(['type', 'title', 'status', 'detail', 'code'])
      expect(problem).toMatchObject({ type: 'about:blank', status: DENIAL_STATUS[code], code })
      expect(problem.title).toMatch(/^[A-Z]/)
    }
  })

  it('carries what the client can act on', () => {
    expect(problemDetails(denied('rate_limited'), 3)).toMatchObject({ title: 'Too Many Requests', retryAfter: 3 })
    expect(problemDetails(denied('insufficient_scope', { missingScopes: ['a:b'] }), undefined)).toMatchObject({
      missingScopes: ['a:b'],
    })
    const approvalRequest = { tool: 'drop_table', digest: 'x' }
    expect(problemDetails(denied('approval_required', { approvalRequest }), undefined)).toMatchObject({
      approvalRequest,
    })
  })
})

describe('the RateLimit headers (draft-ietf-httpapi-ratelimit-headers-11)', () => {
  it('list every limit', () => {
    const limits = [
      limit({ limit: 1000, per: 3_600_000, remaining: 998, resetMs: 7200 }),
      limit({ name: 'quota', kind: 'quota', limit: 1e6, per: 30 * 86_400_000, remaining: 0, resetMs: 1 }),
    ]
    expect(rateLimitPolicy(limits)).toBe('"default";q=1000;w=3600, "quota";q=1000000;w=2592000')
    expect(rateLimit(limits)).toBe('"default";r=998;t=8, "quota";r=0;t=1')
  })

  it('leave out the window of a quota that never refills', () => {
    const quota = { name: 'quota', kind: 'quota', limit: 5, remaining: 3 } as const
    expect(rateLimitPolicy([quota])).toBe('"quota";q=5')
    expect(rateLimit([quota])).toBe('"quota";r=3')
  })

  it('are well-formed structured fields whatever the numbers', () => {
    const member = String.raw`"(?:[\x20\x21\x23-\x5b\x5d-\x7e]|\\["\\])*"(?:;[qwrt]=\d{1,15})*`
    const list = new RegExp(`^${member}(?:, ${member})*$`)
    const anyLimit = fc.record({
      name: fc.string({ unit: 'binary' }),
      kind: fc.constant('rate' as const),
      limit: fc.double(),
      per: fc.double(),
      remaining: fc.double(),
      resetMs: fc.double(),
    })
    fc.assert(
      fc.property(fc.array(anyLimit, { minLength: 1, maxLength: 4 }), (limits) => {
        expect(rateLimit(limits)).toMatch(list)
      }),
    )
    const realLimit = anyLimit.map((one) => ({
      ...one,
      limit: Math.trunc(Math.abs(one.limit) || 0),
      per: Math.abs(one.per) || 0,
    }))
    fc.assert(
      fc.property(fc.array(realLimit, { minLength: 1, maxLength: 4 }), (limits) => {
        expect(rateLimitPolicy(limits)).toMatch(list)
      }),
    )
  })
})

describe('deprecationHeaders (RFC 9745, RFC 8594)', () => {
  const [current] = tokenView().versions
  if (current === undefined) throw new Error('a token has a version')
  const supersededAt = Date.UTC(2026, 10, 20, 12, 0, 0, 900)
  const token = tokenView({
    versions: [
      { ...current, number: 2 },
      { ...current, state: 'previous', supersededAt, endsAt: Date.UTC(2026, 10, 21, 12) },
    ],
  })

  it('tell when a previous version was superseded and when it ends', () => {
    expect(deprecationHeaders(verified({ token, version: 'previous', versionNumber: 1 }))).toEqual({
      deprecation: `@${Date.UTC(2026, 10, 20, 12) / 1000}`,
      sunset: 'Sat, 21 Nov 2026 12:00:00 GMT',
    })
  })

  it('are absent for other versions', () => {
    expect(deprecationHeaders(verified({ token, version: 'current', versionNumber: 2 }))).toEqual({})
    expect(deprecationHeaders(verified({ token, version: 'pending', versionNumber: 1 }))).toEqual({})
    expect(deprecationHeaders(verified({ token, version: 'previous', versionNumber: 9 }))).toEqual({})
  })
})
