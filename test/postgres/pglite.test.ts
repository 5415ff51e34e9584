import { PGlite } from '@electric-sql/pglite'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fromPglite } from '../../src/postgres/pglite.ts'
import type { PostgresPool } from '../../src/postgres/pool.ts'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'
import { dropSchema, freshSchema, moveClock } from './database.ts'

describe('on PGlite', () => {
  let db: PGlite
  let pool: PostgresPool
  beforeAll(async () => {
    db = await PGlite.create()
    pool = fromPglite(db)
  }, 60_000)
  afterAll(() => db.close())

  tokenStoreSuite(
    async () => {
      const schema = freshSchema()
      const store = new PostgresTokenStore({ pool, schema })
      await store.migrate()
      let offset = 0
      return {
        store,
        advance: async (ms) => {
          offset += ms
          await moveClock(db, schema, offset)
        },
        release: async () => {
          await store.close()
          await dropSchema(db, schema)
        },
      }
    },
    { describe, it, expect },
  )
})
