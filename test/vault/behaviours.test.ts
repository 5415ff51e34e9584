import { afterAll, beforeAll, describe, it } from 'vitest'
import { hasServer } from '../real-servers.ts'
import { BEHAVIOURS, type Behaviour } from './behaviours.ts'
import { ownVaultThere, type RealVault, sharedVault, vaultThere } from './server.ts'
import { ownRealWorld, realWorld, simulatedWorld } from './worlds.ts'

describe('the simulator, on a fake clock', () => {
  for (const { name, run, ...options } of BEHAVIOURS) {
    it(name, async () => {
      const world = simulatedWorld(options)
      await run(world).finally(() => world.close())
    })
  }
})

const databaseThere = vaultThere && (await hasServer('postgres', '127.0.0.1', 5432))

/** Real seconds pass: all behaviours live at the same time, the longest for 31 s. */
const LIMIT = 90_000

describe.runIf(vaultThere)('OpenBao, in real time', () => {
  const chosen = BEHAVIOURS.filter(
    ({ own, postgres }) => (own !== true || ownVaultThere) && (postgres !== true || databaseThere),
  )
  const runs = new Map<Behaviour, Promise<void>>()
  let server: RealVault
  beforeAll(async () => {
    server = await sharedVault()
    for (const behaviour of chosen) {
      runs.set(behaviour, behaviour.own === true ? inOwnWorld(behaviour) : behaviour.run(realWorld(server)))
    }
    // Each is looked at by its own test.
    void Promise.allSettled(runs.values())
  })
  afterAll(() => server.kill())
  for (const behaviour of chosen) it(behaviour.name, { timeout: LIMIT }, () => runs.get(behaviour))
})

async function inOwnWorld({ run, ...options }: Behaviour): Promise<void> {
  const world = await ownRealWorld(options)
  await run(world).finally(() => world.close())
}
