import { describe, expect, it } from 'vitest'
import type { TokenService } from '../../src/http/call.ts'
import type { Refused } from '../../src/http/challenge.ts'
import type { AuthenticateOptions } from '../../src/http/options.ts'
import { getRaw, sendRaw } from './raw-client.ts'
import { denied, GOOD, limit, StubTokens, verified } from './stub-tokens.ts'

/** How a guarded route is told to behave, alike for every framework. */
export interface GuardedRoute {
  readonly tokens: TokenService
  /** Options of requireToken that no framework's types are needed for. */
  readonly options?: AuthenticateOptions<unknown>
  /** Answers 418 with the code as plain text instead of problem details. */
  readonly teapot?: boolean
  /** Throws this from onDenied. */
  readonly throwOnDenied?: unknown
  /** Called with each refusal, answering nothing. */
  readonly onRefused?: (refused: Refused) => void
  /** The proxies to believe, in the framework's own words; absent = none. */
  readonly trustProxy?: string
  /** The status that the handler answers; default 200. */
  readonly status?: number
  /** The handler never answers; the function is called when it is reached. */
  readonly hang?: () => void
}

/** A server with one guarded route for any method at /orders; it answers JSON: `{ service, url, query }`. */
export type Serve = (route: GuardedRoute) => Promise<{ readonly port: number; close(): Promise<void> }>

const AUTHORIZED = [`Authorization: Bearer ${GOOD}`]

/** What every middleware must do over real HTTP. */
export function middlewareSuite(framework: string, serve: Serve): void {
  async function withServer<T>(
    route: Omit<Partial<GuardedRoute>, 'tokens'> & { tokens?: StubTokens },
    use: (port: number, tokens: StubTokens) => Promise<T>,
  ): Promise<T> {
    const tokens = route.tokens ?? new StubTokens()
    const server = await serve({ ...route, tokens })
    try {
      return await use(server.port, tokens)
    } finally {
      await server.close()
    }
  }

  describe(`requireToken on ${framework}`, () => {
    it('lets a good token pass and hands over the verification', async () => {
      const tokens = new StubTokens()
      tokens.answer = () => verified({ limits: [limit()] })
      await withServer({ tokens, options: { scopes: ['orders:read'] } }, async (port) => {
        const answer = await getRaw(port, '/orders', AUTHORIZED)
        expect(answer.status).toBe(200)
        expect(JSON.parse(answer.body)).toMatchObject({ service: 'billing' })
        expect(answer.headers.get('ratelimit')).toEqual(['"default";r=99;t=1'])
        expect(answer.headers.get('ratelimit-policy')).toEqual(['"default";q=100;w=60'])
        expect(answer.headers.get('vary')).toEqual(['Origin, Authorization, X-API-Key'])
        expect(tokens.asked[0]?.context).toMatchObject({
          scopes: ['orders:read'],
          level: 'read_only',
          ip: expect.stringContaining('127.0.0.1'),
        })
      })
    })

    it('refuses with challenge and problem details, and the handler is not reached', async () => {
      await withServer({ options: { scopes: ['orders:read', 'orders:write'], realm: 'bills' } }, async (port) => {
        for (const [header, status, code, challenge] of [
          ['Accept: */*', 401, 'missing', /^Bearer realm="bills"$/],
          ['Authorization: Bearer nope', 401, 'unknown', /^Bearer realm="bills", error="invalid_token"/],
          ['X-API-Key: nope', 401, 'unknown', /error="invalid_token"/],
          [
            `X-API-Key: ${GOOD}`,
            403,
            'insufficient_scope',
            /error="insufficient_scope".*scope="orders:read orders:write"$/,
          ],
          ['Authorization: Bearer', 400, 'invalid_request', /error="invalid_request"/],
        ] as const) {
          const answer = await getRaw(port, '/orders', [header])
          expect(answer.status).toBe(status)
          expect(answer.headers.get('content-type')?.[0]).toMatch(/^application\/problem\+json/)
          expect(answer.headers.get('cache-control')).toEqual(['no-store'])
          expect(answer.headers.get('www-authenticate')).toEqual([expect.stringMatching(challenge)])
          expect(answer.headers.has('ratelimit')).toBe(false)
          expect(JSON.parse(answer.body)).toMatchObject({ type: 'about:blank', status, code })
        }
      })
    })

    it('answers 429 and 503 with Retry-After', async () => {
      const tokens = new StubTokens()
      await withServer({ tokens }, async (port) => {
        tokens.answer = () => denied('rate_limited', { retryAfterMs: 2001, limits: [limit({ remaining: 0 })] })
        const limited = await getRaw(port, '/orders', AUTHORIZED)
        expect([limited.status, limited.headers.get('retry-after')]).toEqual([429, ['3']])
        expect(limited.headers.get('ratelimit')).toEqual(['"default";r=0;t=1'])
        tokens.answer = () => denied('unavailable')
        const unavailable = await getRaw(port, '/orders', AUTHORIZED)
        expect([unavailable.status, unavailable.headers.get('retry-after')]).toEqual([503, ['1']])
      })
    })

    it('sees repeated headers and two ways at once (RFC 6750, 3.1)', async () => {
      await withServer({}, async (port, tokens) => {
        for (const headers of [
          [...AUTHORIZED, ...AUTHORIZED],
          [...AUTHORIZED, 'Authorization: Basic dTpw'],
          [...AUTHORIZED, `X-API-Key: ${GOOD}`],
          [`X-API-Key: ${GOOD}`, `x-api-key: ${GOOD}`],
        ]) {
          expect((await getRaw(port, '/orders', headers)).status).toBe(400)
        }
        expect(tokens.asked).toEqual([])
        expect((await getRaw(port, '/orders', ['Authorization: Basic dTpw', `X-API-Key: ${GOOD}`])).status).toBe(200)
      })
    })

    it('takes no cookie and, unless asked, no query parameter', async () => {
      await withServer({}, async (port) => {
        expect((await getRaw(port, `/orders?api_key=${GOOD}&token=${GOOD}`, [`Cookie: token=${GOOD}`])).status).toBe(
          401,
        )
      })
    })

    it('strips a token from the URL that it was told to look into', async () => {
      await withServer({ options: { query: 'api_key' } }, async (port) => {
        const answer = await getRaw(port, `/orders?page=2&api_key=${GOOD}`)
        expect(answer.status).toBe(200)
        expect(JSON.parse(answer.body)).toMatchObject({ url: '/orders?page=2', query: { page: '2' } })
        expect(answer.body).not.toContain(GOOD)
        const both = await getRaw(port, '/orders?api_key=sk_other', AUTHORIZED)
        expect(JSON.parse(both.body)).toMatchObject({ url: '/orders', query: {} })
      })
    })

    it('believes X-Forwarded-For only from proxies that the framework was told of', async () => {
      const forwarded = [...AUTHORIZED, 'X-Forwarded-For: 10.9.9.9, 203.0.113.9']
      await withServer({}, async (port, tokens) => {
        await getRaw(port, '/orders', forwarded)
        expect(tokens.asked[0]?.context.ip).toMatch(/127\.0\.0\.1$/)
      })
      await withServer({ trustProxy: 'loopback' }, async (port, tokens) => {
        await getRaw(port, '/orders', forwarded)
        expect(tokens.asked[0]?.context.ip).toBe('203.0.113.9')
      })
    })

    it('refuses plain HTTP where HTTPS is required, looking nothing up', async () => {
      const forwarded = [...AUTHORIZED, 'X-Forwarded-Proto: https']
      await withServer({ options: { requireHttps: true } }, async (port, tokens) => {
        const answer = await getRaw(port, '/orders', forwarded)
        expect([answer.status, JSON.parse(answer.body).code]).toEqual([403, 'insecure_transport'])
        expect(tokens.asked).toEqual([])
      })
      await withServer({ options: { requireHttps: true }, trustProxy: 'loopback' }, async (port) => {
        expect((await getRaw(port, '/orders', forwarded)).status).toBe(200)
      })
    })

    it('passes a preflight, and where it is optional a request without credentials', async () => {
      await withServer({}, async (port) => {
        const lines = [
          'OPTIONS /orders HTTP/1.1',
          'Host: a',
          'Origin: https://b.example',
          'Access-Control-Request-Method: POST',
        ]
        expect(JSON.parse((await sendRaw(port, lines)).body)).toEqual(
          expect.not.objectContaining({ service: 'billing' }),
        )
        expect((await sendRaw(port, lines.slice(0, 3))).status).toBe(401)
      })
      await withServer({ options: { optional: true } }, async (port) => {
        const open = await getRaw(port, '/orders')
        expect([open.status, 'service' in JSON.parse(open.body)]).toEqual([200, false])
        expect((await getRaw(port, '/orders', ['Authorization: Bearer nope'])).status).toBe(401)
      })
    })

    it('lets onDenied answer in its own way, with the headers set already', async () => {
      await withServer({ teapot: true }, async (port) => {
        const answer = await getRaw(port, '/orders')
        expect([answer.status, answer.body]).toEqual([418, 'missing'])
        expect(answer.headers.get('content-type')?.[0]).toMatch(/^text\/plain/)
        expect(answer.headers.get('www-authenticate')).toEqual(['Bearer realm="api"'])
      })
    })

    it('answers itself when onDenied only looks', async () => {
      const seen: string[] = []
      await withServer({ onRefused: (refused) => seen.push(refused.code) }, async (port) => {
        const answer = await getRaw(port, '/orders', ['Authorization: Bearer'])
        expect([answer.status, JSON.parse(answer.body).code]).toEqual([400, 'invalid_request'])
        expect(seen).toEqual(['invalid_request'])
      })
    })

    it('never lets a request pass because something threw, whatever was thrown', async () => {
      for (const thrown of [new Error('boom'), undefined, null, 'route', 'router', 0, false]) {
        const tool = () => {
          throw thrown
        }
        for (const options of [{ tool }, { tool: () => Promise.reject(thrown) }]) {
          await withServer({ options }, async (port) =>
            expect((await getRaw(port, '/orders', AUTHORIZED)).status).toBe(500),
          )
        }
        const tokens = new StubTokens()
        tokens.answer = () => Promise.reject(thrown)
        await withServer({ tokens }, async (port) =>
          expect((await getRaw(port, '/orders', AUTHORIZED)).status).toBe(500),
        )
        await withServer({ throwOnDenied: thrown ?? 'nothing' }, async (port) => {
          const answer = await getRaw(port, '/orders')
          expect(answer.status).toBeGreaterThanOrEqual(400)
          expect(answer.body).not.toContain('"url"')
        })
      }
    })

    it('survives large and many headers', async () => {
      await withServer({}, async (port) => {
        expect((await getRaw(port, '/orders', [`Authorization: Bearer ${'a'.repeat(12_000)}`])).status).toBe(401)
        expect((await getRaw(port, '/orders', [`Authorization: Bearer ${'a'.repeat(20_000)}`])).status).toBe(431)
        const many = (count: number) => Array.from({ length: count }, (_, i) => `X-${i}: 1`)
        expect((await getRaw(port, '/orders', [...many(600), ...AUTHORIZED])).status).toBe(200)
        expect((await getRaw(port, '/orders', [...many(3000), ...AUTHORIZED])).status).toBe(431)
        expect((await getRaw(port, '/orders', ['Authorization: Bearer \x80\xff\x01'])).status).toBeOneOf([400, 401])
      })
    })

    it('records status and duration when the response ends', async () => {
      await withServer({ status: 201, options: { caller: 'web' } }, async (port, tokens) => {
        await getRaw(port, '/orders', AUTHORIZED)
        await getRaw(port, '/orders', ['Authorization: Bearer nope'])
        const [good, bad] = await tokens.finishedCalls(2)
        expect(good).toEqual({
          verification: verified(),
          outcome: { status: 201, durationMs: 0, ip: tokens.asked[0]?.context.ip, caller: 'web' },
        })
        expect(bad).toMatchObject({ verification: { code: 'unknown' }, outcome: { status: 401 } })
      })
    })

    it('records 499 when the client leaves without an answer', async () => {
      const controller = new AbortController()
      await withServer({ hang: () => controller.abort() }, async (port, tokens) => {
        const { signal } = controller
        const left = fetch(`http://127.0.0.1:${port}/orders`, { headers: { 'X-API-Key': GOOD }, signal })
        await expect(left).rejects.toThrow()
        expect(await tokens.finishedCalls(1)).toMatchObject([{ outcome: { status: 499 } }])
      })
    })

    it('records a call whose client left during the verification', async () => {
      const controller = new AbortController()
      const tokens = new StubTokens()
      let release = (): void => undefined
      const released = new Promise<void>((resolve) => {
        release = resolve
      })
      tokens.answer = async () => {
        controller.abort()
        await released
        return verified()
      }
      await withServer({ tokens, hang: () => undefined }, async (port) => {
        const { signal } = controller
        await expect(
          fetch(`http://127.0.0.1:${port}/orders`, { headers: { 'X-API-Key': GOOD }, signal }),
        ).rejects.toThrow()
        // A later request on the same server is answered after the server has seen the first one leave.
        tokens.answer = () => denied('unknown')
        await getRaw(port, '/orders', AUTHORIZED)
        release()
        const outcomes = (await tokens.finishedCalls(2)).map(({ outcome }) => outcome.status)
        expect(outcomes.sort()).toEqual([401, 499])
      })
    })
  })
}
