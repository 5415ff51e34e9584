import { afterAll, describe, expect, it } from 'vitest'
import { tokenStoreSuite } from '../../src/testing/index.ts'
import { newPool, storeFixtures, there } from './database.ts'

describe.runIf(there).each([true, false])('on a server, statementNames %s', (statementNames) => {
  const pool = newPool()
  afterAll(() => pool.end())

  tokenStoreSuite(storeFixtures(pool, statementNames), { describe, it, expect })
})
