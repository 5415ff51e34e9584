// Runs every example, examples/<name>/main.ts, against the built package. An example exits 0 or has failed.
import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const LIMIT_MS = 120_000
const root = fileURLToPath(new URL('../', import.meta.url))
const examples = existsSync(`${root}examples`)
  ? readdirSync(`${root}examples`).filter((name) => existsSync(`${root}examples/${name}/main.ts`))
  : []
let failed = 0

for (const name of examples) {
  const run = spawnSync(process.execPath, [`examples/${name}/main.ts`], {
    cwd: root,
    encoding: 'utf8',
    timeout: LIMIT_MS,
  })
  if (run.status === 0) {
    console.log(`ok   examples/${name}`)
  } else {
    failed += 1
    console.log(`FAIL examples/${name} (exit ${run.status ?? run.signal})\n${run.stdout}\n${run.stderr}`)
  }
}

console.log(`${examples.length - failed} passed, ${failed} failed`)
process.exitCode = failed === 0 && examples.length > 0 ? 0 : 1
