/**
 * For tests of hosts and of stores: time that moves when told, randomness that repeats, a recorder of events, and the
 * contract that every store must pass.
 *
 * @module
 */

export { type EventRecorder, recordEvents } from './event-recorder.ts'
export { type FakeClock, fakeClock } from './fake-clock.ts'
export { seededRandom } from './seeded-random.ts'
