import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const ROOT = new URL('../', import.meta.url)

/** The core entry as it is published. */
export const ENTRY: URL = new URL('dist/index.js', ROOT)

/** Builds dist/ when it isn't there or older than a source. */
export function buildPackage(): void {
  const sources = readdirSync(new URL('src/', ROOT), { recursive: true }) as string[]
  const newest = Math.max(...sources.map((name) => statSync(new URL(`src/${name}`, ROOT)).mtimeMs))
  if (existsSync(ENTRY) && statSync(ENTRY).mtimeMs >= newest) return
  const tsup = fileURLToPath(new URL('node_modules/tsup/dist/cli-default.js', ROOT))
  const { status, stderr } = spawnSync(process.execPath, [tsup, '--silent'], { cwd: ROOT, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the package could not be built: ${stderr}`)
}
