/**
 * For tests of hosts and of stores: time that moves when told, randomness that repeats, a recorder of events, and the
 * contract that every store must pass.
 *
 * @module
 */
export { fakeClock, type FakeClock } from './fake-clock.ts'
export { recordEvents, type EventRecorder } from './event-recorder.ts'
export { seededRandom } from './seeded-random.ts'
