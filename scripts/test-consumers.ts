// Packs the built package and uses the tarball as its users do: imported from ESM, required from CommonJS, compiled by
// TypeScript from both. Nothing is downloaded: the tarball is unpacked, and its declared dependencies are linked.
import { execFileSync, spawnSync } from 'node:child_process'
import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { publicEntries } from './entries.ts'

const root = fileURLToPath(new URL('../', import.meta.url))
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  dependencies: object
  peerDependencies: object
}
const specifiers = publicEntries().map((entry) => entry.specifier)
const work = mkdtempSync(join(tmpdir(), 'tokenwright-consumers-'))
let passed = 0
let failed = 0

/** A folder with the unpacked tarball, its dependencies, and these packages besides. */
function consumer(name: string, tarball: string, packages: readonly string[]): string {
  const folder = join(work, name)
  const modules = join(folder, 'node_modules')
  mkdirSync(join(modules, 'tokenwright'), { recursive: true })
  execFileSync('tar', ['-xzf', tarball, '-C', join(modules, 'tokenwright'), '--strip-components=1'])
  for (const dependency of [...Object.keys(manifest.dependencies), ...packages]) {
    mkdirSync(dirname(join(modules, dependency)), { recursive: true })
    symlinkSync(realpathSync(`${root}node_modules/${dependency}`), join(modules, dependency))
  }
  return folder
}

function check(title: string, folder: string, args: readonly string[]): void {
  const run = spawnSync(process.execPath, args, { cwd: folder, encoding: 'utf8', timeout: 120_000 })
  const good = run.status === 0 && run.stderr === ''
  if (good) passed += 1
  else failed += 1
  console.log(good ? `ok   ${title}` : `FAIL ${title} (exit ${run.status ?? run.signal})\n${run.stdout}${run.stderr}`)
}

function checkTypes(title: string, folder: string, files: { readonly [name: string]: string }): void {
  const options = {
    module: 'nodenext',
    target: 'es2023',
    strict: true,
    noEmit: true,
    skipLibCheck: false,
    types: ['node'],
  }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, files: Object.keys(files) }))
  for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text)
  check(title, folder, [`${root}node_modules/typescript/bin/tsc`, '-p', '.'])
}

const importAll = (names: readonly string[]) =>
  `${names.map((name, index) => `import * as m${index} from '${name}'`).join('\n')}
export const all: readonly object[] = [${names.map((_, index) => `m${index}`).join(', ')}]\n`

try {
  execFileSync('npm', ['pack', '--silent', '--pack-destination', work], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  const tarball = join(work, readdirSync(work).find((name) => name.endsWith('.tgz')) ?? '')

  const plain = consumer('plain', tarball, ['@types/node'])
  for (const specifier of specifiers) {
    const assert = 'if (Object.keys(module).length === 0) throw new Error("exports nothing")'
    const esm = `const module = await import('${specifier}'); ${assert}`
    check(`import('${specifier}') without peers`, plain, ['--input-type=module', '-e', esm])
    check(`require('${specifier}') without peers`, plain, [
      '--input-type=commonjs',
      '-e',
      `{ const module = require('${specifier}'); ${assert} }`,
    ])
  }
  check('require("tokenwright/package.json")', plain, [
    '--input-type=commonjs',
    '-e',
    'require("tokenwright/package.json").version.length',
  ])

  // The types of a framework's entry are made of the framework's own.
  const peers = Object.keys(manifest.peerDependencies).map((peer) => `tokenwright/${peer}`)
  const withoutPeers = specifiers.filter((specifier) => !peers.includes(specifier))
  checkTypes('types without peers', plain, { 'esm.mts': importAll(withoutPeers), 'cjs.cts': importAll(withoutPeers) })

  const full = consumer('full', tarball, ['@types/node', '@types/express', 'express', 'fastify'])
  const app = readFileSync(`${root}test/packaging/consumer.mts`, 'utf8')
  checkTypes('types with peers', full, {
    'esm.mts': importAll(specifiers),
    'cjs.cts': importAll(specifiers),
    'app.mts': app,
  })
} finally {
  rmSync(work, { recursive: true, force: true })
}

console.log(`${passed} passed, ${failed} failed`)
process.exitCode = failed === 0 && passed > 0 ? 0 : 1
