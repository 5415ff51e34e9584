import NodeVault from 'node-vault'
import { describe, expectTypeOf, it } from 'vitest'
import type { Action } from '../../src/automation/action.ts'
import type { TokenEvents } from '../../src/index.ts'
import type { EventSink } from '../../src/kernel/emitter.ts'
import type { RotationHooks } from '../../src/rotation/hooks.ts'
import {
  createVaultClient,
  fromNodeVault,
  type NodeVaultClient,
  publishToVaultKv,
  type RenewalResult,
  type VaultClient,
  type VaultEvents,
  type VaultTokenManager,
  type VaultTokenManagerOptions,
  vaultRenewAction,
} from '../../src/vault/index.ts'

declare const manager: VaultTokenManager

describe('tokenwright/vault', () => {
  it('takes an instance of node-vault as it is, and answers it as it was', () => {
    const vault = NodeVault({ endpoint: 'http://127.0.0.1:8200' })
    expectTypeOf(vault).toExtend<VaultClient>()
    expectTypeOf(fromNodeVault(vault)).toEqualTypeOf<NodeVault.client>()
    expectTypeOf<{ client: NodeVault.client }>().toExtend<VaultTokenManagerOptions>()
    expectTypeOf(createVaultClient({ endpoint: 'x' })).resolves.toEqualTypeOf<NodeVaultClient>()
    expectTypeOf(createVaultClient<NodeVault.client>({ endpoint: 'x' })).resolves.toEqualTypeOf<NodeVault.client>()
  })

  it('tells typed events, which a shared emitter takes too', () => {
    manager.events.on('renewed', ({ ttlMs, extended }) => {
      expectTypeOf(ttlMs).toEqualTypeOf<number>()
      expectTypeOf(extended).toEqualTypeOf<boolean>()
    })
    // @ts-expect-error: no such event
    manager.events.on('renewd', () => {})
    expectTypeOf<EventSink<TokenEvents>>().toExtend<EventSink<VaultEvents>>()
  })

  it('fits rules and rotations', () => {
    expectTypeOf(vaultRenewAction(manager)).toEqualTypeOf<Action>()
    expectTypeOf({ publish: publishToVaultKv({ vault: manager, path: 'a' }) }).toExtend<RotationHooks>()
    expectTypeOf(manager.forceRenewal()).resolves.toEqualTypeOf<RenewalResult>()
    expectTypeOf(manager.withToken(async () => 5)).resolves.toEqualTypeOf<number>()
  })
})
