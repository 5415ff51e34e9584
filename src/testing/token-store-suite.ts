import type { MaybePromise } from '../kernel/kind.ts'
import { commitTests } from './store-suite/commits.ts'
import { epochTests } from './store-suite/epochs.ts'
import { indexTests } from './store-suite/indexes.ts'
import { journalTests, outboxTests } from './store-suite/journal-and-outbox.ts'
import type { StoreFixture, Suite, SuiteTools } from './store-suite/kit.ts'
import { liveTests } from './store-suite/live.ts'
import { modelTests } from './store-suite/model.ts'
import { usageTests } from './store-suite/usage.ts'

export type { StoreFixture, SuiteAssertions, SuiteExpect, SuiteTools } from './store-suite/kit.ts'

/** How long one test of the suite may take, ms. */
const TIMEOUT_MS = 30_000

/**
 * The contract of a TokenStore, as tests: run it over your own adapter. Each test asks the factory for a fresh, empty
 * store. Parts that the store doesn't have (`cell`, `rows`, `watch`, `scan`) are passed over; parts that the fixture doesn't
 * offer (`reopen`, `another`, `advance`) aren't tested.
 *
 * @param factory - gives a fresh store and what can be done with it; called once per test
 * @param tools - `describe`, `it` and `expect` of vitest, jest or the like
 * @example
 * ```ts
 * import { describe, expect, it } from 'vitest'
 * import { tokenStoreSuite } from 'tokenwright/testing'
 *
 * tokenStoreSuite(async () => {
 *   const store = await MyTokenStore.open(freshDatabase())
 *   return { store, release: () => store.close() }
 * }, { describe, it, expect })
 * ```
 */
export function tokenStoreSuite(factory: () => MaybePromise<StoreFixture>, tools: SuiteTools): void {
  const suite: Suite = {
    describe: tools.describe,
    expect: tools.expect,
    test: (name, body) => {
      const run = async (): Promise<void> => {
        const fixture = await factory()
        try {
          await body(fixture.store, fixture)
        } finally {
          await fixture.release?.()
        }
      }
      tools.it(name, run, TIMEOUT_MS)
    },
  }
  tools.describe('TokenStore contract', () => {
    commitTests(suite)
    epochTests(suite)
    indexTests(suite)
    journalTests(suite)
    outboxTests(suite)
    usageTests(suite)
    liveTests(suite)
    modelTests(suite)
  })
}
