import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** What of Miniflare is used. Its types are its own package's, which isn't installed with this one. */
export interface Runtime {
  readonly ready: Promise<URL>
  dispatchFetch(url: string): Promise<{ readonly status: number; text(): Promise<string> }>
  getWorker(): Promise<{
    scheduled(event: { readonly scheduledTime: Date; readonly cron: string }): Promise<{ readonly outcome: string }>
  }>
  getD1Database(binding: string): Promise<unknown>
  dispose(): Promise<void>
}

/** How a runtime is started. */
export interface RuntimeOptions {
  readonly modules: true
  readonly script: string
  readonly compatibilityDate: string
  readonly compatibilityFlags?: readonly string[]
  readonly d1Databases: { readonly [binding: string]: string }
  readonly bindings: { readonly [name: string]: unknown }
}

const folder = fileURLToPath(new URL('./', import.meta.url))

/**
 * Miniflare, which runs the real workerd; `undefined` with a plain message where it isn't installed, unless the environment's
 * REQUIRE_REAL names workerd.
 */
export async function loadRuntime(): Promise<(new (options: RuntimeOptions) => Runtime) | undefined> {
  if (!existsSync(`${folder}node_modules/miniflare`)) {
    const how = 'npm ci --prefix test/worker installs it'
    if ((process.env['REQUIRE_REAL'] ?? '').split(',').includes('workerd')) {
      throw new Error(`there is no workerd, and REQUIRE_REAL names it; ${how}`)
    }
    console.log(`skipped: there is no workerd to run Workers in; ${how}`)
    return undefined
  }
  const path = createRequire(`${folder}package.json`).resolve('miniflare')
  const { Miniflare } = (await import(pathToFileURL(path).href)) as {
    Miniflare: new (options: RuntimeOptions) => Runtime
  }
  return Miniflare
}
