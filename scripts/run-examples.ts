// Runs every example against the built package: examples/<name>.ts and examples/<name>/main.ts. An example exits 0 or
// has failed. (examples/**/*.test.ts run with the tests.)
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const LIMIT_MS = 120_000
const root = fileURLToPath(new URL('../', import.meta.url))
const examples = readdirSync(`${root}examples`)
  .map((name) => (name.endsWith('.ts') ? `examples/${name}` : `examples/${name}/main.ts`))
  .filter((path) => existsSync(root + path))
let failed = 0

for (const path of examples) {
  const run = spawnSync(process.execPath, [path], { cwd: root, encoding: 'utf8', timeout: LIMIT_MS })
  if (run.status === 0) {
    console.log(`ok   ${path}`)
  } else {
    failed += 1
    console.log(`FAIL ${path} (exit ${run.status ?? run.signal})\n${run.stdout}\n${run.stderr}`)
  }
}

console.log(`${examples.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 && examples.length > 0 ? 0 : 1
