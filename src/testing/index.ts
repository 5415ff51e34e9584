/**
 * For tests of hosts and of stores: time that moves when told, randomness that repeats, a recorder of events, the
 * contracts that every store and healer state must pass, and simulators of Vault and Cloudflare.
 *
 * @module
 */

export type { EventName, EventPayload } from '../kernel/emitter.ts'
export type { SimulatedAnswer, SimulatedRequest } from './cloudflare-simulator/answers.ts'
export type { CloudflareFault, FaultOrder } from './cloudflare-simulator/faults.ts'
export type { SimulatedGroupRow } from './cloudflare-simulator/groups.ts'
export {
  CloudflareSimulator,
  type CloudflareSimulatorOptions,
  type MadeToken,
  type SeenRequest,
  type SimulatedPolicyInput,
  type SimulatedTokenInput,
} from './cloudflare-simulator/simulator.ts'
export type { SimulatedGroup, SimulatedPolicy, SimulatedToken } from './cloudflare-simulator/token.ts'
export {
  type EventRecorder,
  EventTimeoutError,
  type RecordedEvent,
  recordEvents,
  type WaitForOptions,
} from './event-recorder.ts'
export { type FakeClock, type FakeClockOptions, fakeClock } from './fake-clock.ts'
export { type HealerStateFixture, healerStateSuite } from './healer-state-suite.ts'
export { seededRandom } from './seeded-random.ts'
export {
  type StoreFixture,
  type SuiteAssertions,
  type SuiteExpect,
  type SuiteTools,
  tokenStoreSuite,
} from './token-store-suite.ts'
export type { VaultFault, VaultFaultKind } from './vault-simulator/faults.ts'
export {
  type SimulatedCall,
  VaultSimulator,
  type VaultSimulatorOptions,
} from './vault-simulator/vault-simulator.ts'
