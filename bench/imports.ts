import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { buildPackage, ENTRY } from './built-package.ts'
import { median, summarize } from './measure.ts'
import type { Report } from './result.ts'

const ROOT = new URL('../', import.meta.url)
const PROCESSES = 15
const RUNS = 3

/** What importing the built core entry costs, and which optional peers it loads. */
export async function importsSection(report: Report): Promise<void> {
  buildPackage()
  const empty = 'undefined'
  const core = `await import(${JSON.stringify(ENTRY.href)})`
  for (let i = 0; i < 3; i++) timeOf(core)
  const runs: number[] = []
  for (let run = 0; run < RUNS; run++) {
    const over: number[] = []
    for (let i = 0; i < PROCESSES; i++) over.push(-timeOf(empty) + timeOf(core))
    runs.push(median(over))
  }
  report('imports.core', summarize(runs), `median of ${PROCESSES} processes beside as many empty ones`)
  const loaded = packagesLoaded(core)
  const peers = Object.keys(manifest().peerDependencies).filter((name) => loaded.includes(name))
  report(
    'imports.peers',
    peers.length,
    peers.length > 0 ? peers.join(', ') : `loaded: ${loaded.join(', ') || 'no package'}`,
  )
}

function manifest(): { peerDependencies: object } {
  return JSON.parse(readFileSync(new URL('package.json', ROOT), 'utf8')) as { peerDependencies: object }
}

/** Wall time of a process that runs a module, ms. */
function timeOf(code: string): number {
  const start = performance.now()
  run(code)
  return performance.now() - start
}

/** The packages that a module loads, by a hook on their resolution. */
function packagesLoaded(code: string): string[] {
  const watched = `
    import { registerHooks } from 'node:module'
    const packages = new Set()
    registerHooks({
      resolve(specifier, context, next) {
        const found = next(specifier, context)
        const name = /node_modules\\/((?:@[^/]+\\/)?[^/]+)\\/(?!.*node_modules\\/)/.exec(found.url)
        if (name !== null) packages.add(name[1])
        return found
      },
    })
    ${code}
    console.log([...packages].sort().join(','))`
  return run(watched)
    .trim()
    .split(',')
    .filter((name) => name !== '')
}

function run(code: string): string {
  const { status, stdout, stderr } = spawnSync(process.execPath, ['--input-type=module', '--eval', code], {
    encoding: 'utf8',
  })
  if (status !== 0) throw new Error(`a module could not be imported: ${stderr}`)
  return stdout
}
