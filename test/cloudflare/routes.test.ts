import { describe, expect, it } from 'vitest'
import { createHealerRoutes } from '../../src/cloudflare/index.ts'
import { REQUIRED, setUp } from './fixture.ts'

const SECRET = 'route-secret-0123456789-abcdefghij'

/** Routes over a healer that may heal by itself. */
async function routed() {
  const world = await setUp()
  const routes = createHealerRoutes(world.healer({ ceiling: [...REQUIRED], autoHeal: true }), { secret: SECRET })
  const call = async (method: string, path: string, secret: string | undefined = SECRET) => {
    const headers: Record<string, string> = secret === '' ? {} : { authorization: `Bearer ${secret}` }
    const response = await routes(new Request(`https://worker.example${path}`, { method, headers }), {})
    return {
      status: response.status,
      headers: response.headers,
      body: (await response.json()) as { [key: string]: unknown },
    }
  }
  return { ...world, call }
}

describe('routes (G2)', () => {
  it('let nobody in without the secret, whatever the path', async () => {
    const { call, cloudflare } = await routed()
    for (const secret of ['', 'wrong', `${SECRET}x`, SECRET.slice(1), 'x'.repeat(5000)]) {
      for (const path of ['/tokens/status', '/tokens/heal', '/elsewhere']) {
        const { status, headers, body } = await call('POST', path, secret)
        expect([status, headers.get('www-authenticate'), body]).toEqual([401, 'Bearer', { error: 'unauthorized' }])
      }
    }
    expect(cloudflare.requests).toEqual([])
  })

  it('change nothing by GET, and refuse wrong methods, paths and queries', async () => {
    const { call, cloudflare } = await routed()
    for (const path of ['/tokens/heal', '/tokens/health']) expect((await call('GET', path)).status).toBe(405)
    expect((await call('DELETE', '/tokens/status')).headers.get('allow')).toBe('GET')
    for (const path of ['/tokens', '/tokens/constructor', '/status', '/tokens/heal/x'])
      expect((await call('POST', path)).status).toBe(404)
    for (const query of ['limit=0', 'limit=1001', 'limit=x', 'before=yesterday', 'limit=-1']) {
      expect((await call('GET', `/tokens/history?${query}`)).status).toBe(400)
    }
    expect(cloudflare.requests).toEqual([])
  })

  it('answer status, health, history and heal, and nothing may be kept', async () => {
    const { call, cloudflare, fake } = await routed()
    expect((await call('GET', '/tokens/status')).body).toEqual({ overall_health: 'unknown', at: null, row: null })
    expect((await call('POST', '/tokens/health')).body).toMatchObject({ overall_health: 'degraded' })
    expect(cloudflare.count('PUT')).toBe(0)
    await fake.advance('1m')
    const healed = await call('POST', '/tokens/heal')
    expect([healed.status, healed.headers.get('cache-control')]).toEqual([200, 'no-store'])
    expect(healed.body).toMatchObject({ overall_health: 'healthy', changes: [{ outcome: 'healed' }] })
    expect((await call('GET', '/tokens/status')).body).toMatchObject({ overall_health: 'healthy' })
    const { body } = await call('GET', '/tokens/history?limit=1')
    expect(body).toMatchObject({ rows: [{ action: 'heal', actor: 'http' }] })
    expect((await call('GET', `/tokens/history?before=${fake.now()}`)).body).toMatchObject({
      rows: [{ action: 'check' }],
    })
  })

  it('tell a failure by its code, without a stack', async () => {
    const broken = () => Promise.reject(new Error('at secret (file.ts:1)'))
    const healer = { status: broken, check: broken, heal: broken, history: broken }
    const routes = createHealerRoutes(
      () => healer,
      () => ({ secret: SECRET, prefix: '' }),
    )
    const request = new Request('https://worker.example/heal', {
      method: 'POST',
      headers: { authorization: `Bearer ${SECRET}` },
    })
    const response = await routes(request, {})
    expect([response.status, await response.text()]).toEqual([503, '{"error":"failed"}'])
    expect(() => createHealerRoutes(healer, { secret: 'short' })).toThrow('secret')
    expect(() => createHealerRoutes(healer, { secret: SECRET, prefix: 'x' })).toThrow('prefix')
    const misconfigured = createHealerRoutes(healer, () => ({ secret: '' }))
    expect((await misconfigured(request, {})).status).toBe(503)
  })
})
