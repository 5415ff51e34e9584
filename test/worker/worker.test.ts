import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type D1DatabaseLike, d1State, type HistoryRow } from '../../src/cloudflare/index.ts'
import { CloudflareSimulator, healerStateSuite } from '../../src/testing/index.ts'
import { loadRuntime, type Runtime } from './runtime.ts'

const BUDGET = 120 * 1024

/** Bundles a Worker as its tools do: one module, minified, nothing of Node's assumed. */
async function bundle(): Promise<{ readonly text: string; readonly imports: readonly string[] }> {
  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    target: 'es2022',
    platform: 'neutral',
    mainFields: ['module', 'main'],
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*'],
    write: false,
    metafile: true,
  })
  const [file] = Object.values(metafile.outputs)
  return { text: outputFiles[0]?.text ?? '', imports: (file?.imports ?? []).map(({ path }) => path) }
}

describe('the bundle of a Worker', () => {
  it(`is at most ${BUDGET / 1024} kB, and imports nothing of Node's`, async () => {
    const { text, imports } = await bundle()
    console.log(`bundle of a Worker: ${(Buffer.byteLength(text) / 1024).toFixed(1)} kB minified`)
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(BUDGET)
    expect(imports).toEqual([])
    expect(text).not.toMatch(/process\.env/)
  })
})

const Miniflare = await loadRuntime()

describe.runIf(Miniflare !== undefined)('in workerd, with D1', () => {
  const cloudflare = new CloudflareSimulator()
  const account = cloudflare.addAccount()
  const healer = cloudflare.addToken({
    account,
    policies: [{ groups: ['Account API Tokens Write'], resources: cloudflare.on(account) }],
  })
  const target = cloudflare.addToken({
    account,
    policies: [{ groups: ['D1 Write'], resources: cloudflare.on(account) }],
  })
  let runtime: Runtime

  beforeAll(async () => {
    runtime = new (Miniflare as NonNullable<typeof Miniflare>)({
      modules: true,
      script: (await bundle()).text,
      compatibilityDate: '2026-07-01',
      d1Databases: { DB: 'worker-tests' },
      bindings: {
        HEALER_TOKEN: healer.value,
        BASE_URL: await cloudflare.listen(),
        ACCOUNT_ID: account,
        TOKEN_ID: target.id,
      },
    })
    await runtime.ready
  })
  afterAll(async () => {
    await runtime?.dispose()
    await cloudflare.close()
  })

  const read = async () => {
    const text = await (await runtime.dispatchFetch('http://worker.test/')).text()
    return JSON.parse(text) as { status: { overall_health: string }; history: readonly HistoryRow[] }
  }

  it('scheduled() heals once where two crons meet, and its history is in D1', async () => {
    const worker = await runtime.getWorker()
    const midnight = new Date(Date.UTC(2030, 0, 2))
    const outcomes = await Promise.all([
      worker.scheduled({ scheduledTime: midnight, cron: '0 */6 * * *' }),
      worker.scheduled({ scheduledTime: midnight, cron: '0 0 * * *' }),
    ])
    expect(outcomes.map(({ outcome }) => outcome)).toEqual(['ok', 'ok'])
    expect(cloudflare.count('PUT')).toBe(1)
    expect(cloudflare.grants(target.id)).toHaveLength(14)
    const { status, history } = await read()
    expect(status.overall_health).toBe('healthy')
    expect(history).toHaveLength(1)
    expect(history[0]).toMatchObject({ action: 'heal', auto_heal_success: true, account_token_missing_perms: 0 })

    await worker.scheduled({ scheduledTime: new Date(Date.UTC(2030, 0, 2, 6)), cron: '0 */6 * * *' })
    expect(cloudflare.count('PUT')).toBe(1)
    expect((await read()).history).toHaveLength(2)
    expect(await (await runtime.dispatchFetch('http://worker.test/report')).text()).toContain(
      'Cloudflare tokens: healthy',
    )
  })

  it('a run that can’t reach Cloudflare ends, and is no "valid"', async () => {
    const worker = await runtime.getWorker()
    cloudflare.fault({ times: 50, fault: { type: 'error', status: 500, code: 1000, message: 'down' } })
    await worker.scheduled({ scheduledTime: new Date(Date.UTC(2030, 0, 3)), cron: '0 0 * * *' })
    cloudflare.clearFaults()
    expect((await read()).history[0]).toMatchObject({
      overall_health: 'degraded',
      account_token_valid: null,
      account_token_missing_perms: null,
    })
  })

  let databases = 0
  healerStateSuite(
    async () => {
      // Tables of their own for each test: the database is one.
      databases += 1
      const prefix = `suite_${String.fromCharCode(96 + databases)}_`
      const database = (await runtime.getD1Database('DB')) as D1DatabaseLike
      return { state: d1State({ database, prefix }), another: d1State({ database, prefix }) }
    },
    { describe, it, expect },
  )
})
