// Completes package-lock.json with the optional packages of other platforms (native binaries of Biome, Rollup, …).
// npm leaves them out when the registry in use doesn't carry them, and then `npm ci` refuses the lock as out of date.
// Run it after every `npm install`; it changes nothing when nothing is missing.
import { readFileSync, writeFileSync } from 'node:fs'

interface Locked {
  version?: string
  cpu?: string[]
  os?: string[]
  libc?: string[]
  dev?: boolean
  optional?: boolean
  optionalDependencies?: { [name: string]: string }
}

const SYSTEMS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32']
const PROCESSORS = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64']

const path = new URL('../package-lock.json', import.meta.url)
const lock = JSON.parse(readFileSync(path, 'utf8')) as { packages: { [place: string]: Locked } }
const added: string[] = []

for (const [place, holder] of Object.entries(lock.packages)) {
  for (const [name, version] of Object.entries(holder.optionalDependencies ?? {})) {
    if (isLocked(place, name) || !/^\d+\.\d+\.\d+[-.\w]*$/.test(version)) continue
    const words = name.split(/[/-]/)
    const cpu = PROCESSORS.filter((word) => words.includes(word))
    const os = SYSTEMS.filter((word) => words.includes(word))
    if (cpu.length === 0 && os.length === 0) continue
    const entry: Locked = { version }
    if (cpu.length > 0) entry.cpu = cpu
    if (holder.dev === true) entry.dev = true
    entry.optional = true
    if (words.some((word) => word.startsWith('gnu'))) entry.libc = ['glibc']
    if (words.some((word) => word.startsWith('musl'))) entry.libc = ['musl']
    if (os.length > 0) entry.os = os
    lock.packages[`node_modules/${name}`] = entry
    added.push(`${name}@${version}`)
  }
}

if (added.length > 0) {
  const [root, ...rest] = Object.entries(lock.packages)
  rest.sort(([a], [b]) => a.localeCompare(b, 'en'))
  lock.packages = Object.fromEntries(root === undefined ? rest : [root, ...rest])
  writeFileSync(path, `${JSON.stringify(lock, undefined, 2)}\n`)
}
console.log(added.length === 0 ? 'package-lock.json is complete' : `added to package-lock.json: ${added.join(', ')}`)

/** Whether a package is there for `place`: beside it, or in a folder above. */
function isLocked(place: string, name: string): boolean {
  let folder = place
  for (;;) {
    if (`${folder === '' ? '' : `${folder}/`}node_modules/${name}` in lock.packages) return true
    if (folder === '') return false
    folder = folder.slice(0, Math.max(0, folder.lastIndexOf('/node_modules/')))
  }
}
