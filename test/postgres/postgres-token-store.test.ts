import { afterAll, describe, expect, it } from 'vitest'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'
import { dropSchema, freshSchema, moveClock, newPool, there } from './database.ts'

describe.runIf(there).each([true, false])('on a server, statementNames %s', (statementNames) => {
  const pool = newPool()
  afterAll(() => pool.end())

  tokenStoreSuite(
    async () => {
      const schema = freshSchema()
      const open = () => new PostgresTokenStore({ pool, schema, statementNames })
      let store = open()
      await store.migrate()
      let offset = 0
      return {
        store,
        reopen: async () => {
          await store.close()
          store = open()
          return store
        },
        another: open,
        advance: async (ms) => {
          offset += ms
          await moveClock(pool, schema, offset)
        },
        release: async () => {
          await store.close()
          await dropSchema(pool, schema)
        },
      }
    },
    { describe, it, expect },
  )
})
