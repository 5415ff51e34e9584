/**
 * For tests of hosts and of stores: time that moves when told, randomness that repeats, a recorder of events, the
 * contract that every store must pass, and a Vault to test against.
 *
 * @module
 */

export type { EventName, EventPayload } from '../kernel/emitter.ts'
export {
  type EventRecorder,
  EventTimeoutError,
  type RecordedEvent,
  recordEvents,
  type WaitForOptions,
} from './event-recorder.ts'
export { type FakeClock, type FakeClockOptions, fakeClock } from './fake-clock.ts'
export { seededRandom } from './seeded-random.ts'
export {
  type StoreFixture,
  type SuiteAssertions,
  type SuiteExpect,
  type SuiteTools,
  tokenStoreSuite,
} from './token-store-suite.ts'
export type { FaultKind, SimulatedFault } from './vault-simulator/faults.ts'
export {
  type SimulatedCall,
  VaultSimulator,
  type VaultSimulatorOptions,
  vaultSimulator,
} from './vault-simulator/vault-simulator.ts'
