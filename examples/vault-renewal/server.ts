import { VaultSimulator } from 'tokenwright/testing'

/** A server to live on. */
export interface Server {
  readonly name: string
  readonly endpoint: string
  /** A token that may make others. */
  readonly root: string
  close(): Promise<void>
}

/** The server that VAULT_ADDR and VAULT_TOKEN name, else a simulator. */
export async function findServer(): Promise<Server> {
  const { VAULT_ADDR: endpoint, VAULT_TOKEN: root } = process.env
  if (endpoint && root) return { name: `the server at ${endpoint}`, endpoint, root, close: async () => {} }
  const simulator = new VaultSimulator()
  return {
    name: 'the simulator (set VAULT_ADDR and VAULT_TOKEN for a real one)',
    endpoint: await simulator.listen(),
    root: simulator.rootToken,
    close: () => simulator.close(),
  }
}
