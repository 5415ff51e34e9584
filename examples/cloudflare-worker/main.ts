// Bundles worker.ts and runs it in workerd (by Miniflare, from test/worker) against a simulated Cloudflare.
// npm ci --prefix test/worker && node examples/cloudflare-worker/main.ts
import assert from 'node:assert/strict'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { CloudflareSimulator } from 'tokenwright/testing'
import { loadRuntime } from '../../test/worker/runtime.ts'

const Miniflare = await loadRuntime()
if (Miniflare !== undefined) {
  const cloudflare = new CloudflareSimulator()
  const account = cloudflare.addAccount()
  const on = cloudflare.on(account)
  const manager = cloudflare.addToken({ account, policies: [{ groups: ['Account API Tokens Write'], resources: on }] })
  const app = cloudflare.addToken({ account, policies: [{ groups: ['Workers Scripts Write'], resources: on }] })

  const { outputFiles, metafile } = await build({
    entryPoints: [fileURLToPath(new URL('./worker.ts', import.meta.url))],
    bundle: true,
    minify: true,
    format: 'esm',
    conditions: ['workerd', 'worker', 'browser'],
    external: ['node:*'],
    // The package as it is published, not its sources.
    tsconfigRaw: {},
    write: false,
    metafile: true,
    logLevel: 'error',
  })
  // Parts that other entries share bring these along: the flag nodejs_compat has them.
  const imports = new Set(Object.values(metafile.outputs).flatMap((output) => output.imports.map(({ path }) => path)))
  for (const path of imports) assert.ok(path === 'node:crypto' || path === 'node:buffer', path)
  const [bundle] = outputFiles
  console.log(`bundle: ${((bundle?.contents.length ?? 0) / 1024).toFixed(1)} kB minified`)

  const runtime = new Miniflare({
    modules: true,
    script: bundle?.text ?? '',
    compatibilityDate: '2026-07-01',
    compatibilityFlags: ['nodejs_compat'],
    d1Databases: { DB: 'healer' },
    bindings: {
      HEALER_TOKEN: manager.value,
      BASE_URL: await cloudflare.listen(),
      ACCOUNT_ID: account,
      TOKEN_ID: app.id,
    },
  })
  try {
    await runtime.ready
    const worker = await runtime.getWorker()
    const midnight = new Date(Date.UTC(2030, 0, 7))
    for (const cron of ['0 */6 * * *', '0 0 * * *']) await worker.scheduled({ scheduledTime: midnight, cron })
    const status = JSON.parse(await (await runtime.dispatchFetch('http://worker.example/')).text())
    console.log('after midnight:', status, `in ${cloudflare.count('PUT')} change`)
    assert.equal(status.overall_health, 'healthy')
    assert.equal(status.missing, 0)
    assert.equal(cloudflare.count('PUT'), 1)
    assert.equal(cloudflare.grants(app.id).length, 14)
  } finally {
    await runtime.dispose()
    await cloudflare.close()
  }
}
