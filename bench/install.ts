import { spawnSync } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'

const HERE = new URL('./', import.meta.url)

/** Installs the peers when they aren't there, or older than their lock. */
export function installPeers(): void {
  const installed = new URL('node_modules/.package-lock.json', HERE)
  const lock = new URL('package-lock.json', HERE)
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  console.log('Installing the peers that are measured beside tokenwright ...')
  const options = ['ci', '--prefix', fileURLToPath(HERE), '--ignore-scripts', '--no-audit', '--no-fund']
  // npm is a script of the shell on Windows.
  const { status } = spawnSync('npm', options, { stdio: 'inherit', shell: process.platform === 'win32' })
  if (status !== 0) throw new Error('the peers could not be installed: npm ci --prefix bench tells why')
}
