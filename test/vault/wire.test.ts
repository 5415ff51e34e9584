import { afterAll, beforeAll, describe, it } from 'vitest'
import { ownVaultThere, type RealVault, sharedVault, vaultThere } from './server.ts'
import { EXCHANGES, SERVER_EXCHANGES } from './wire.ts'
import { ownRealWorld, realWorld, simulatedWorld } from './worlds.ts'

describe('the simulator', () => {
  for (const { name, run } of [...EXCHANGES, ...SERVER_EXCHANGES]) it(name, () => run(simulatedWorld()))
})

describe.runIf(vaultThere)('OpenBao', () => {
  let server: RealVault
  beforeAll(async () => {
    server = await sharedVault()
  })
  afterAll(() => server.kill())
  for (const { name, run } of EXCHANGES) it(name, () => run(realWorld(server)))
})

describe.runIf(ownVaultThere)('OpenBao, a server of its own', () => {
  for (const { name, run } of SERVER_EXCHANGES) {
    it(name, async () => {
      const world = await ownRealWorld({})
      await run(world).finally(() => world.close())
    })
  }
})
