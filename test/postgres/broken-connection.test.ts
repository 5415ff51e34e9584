import { EventEmitter } from 'node:events'
import { expect, it } from 'vitest'
import { PostgresTokenStore } from '../../src/postgres/index.ts'

/** A connection that is broken off in the very message by which it becomes free, as a parser of several messages at once tells it. */
class BrokenOff extends EventEmitter {
  connections = 0

  async connect() {
    const client = Object.assign(new EventEmitter(), {
      query: async () => ({ rows: [{ now: 7 }] }),
      release: () => {},
    })
    this.connections += 1
    this.emit('acquire', client)
    // Without a listener an emitter throws what it tells.
    client.emit('error', new Error('terminating connection due to administrator command'))
    return client
  }
}

it('a connection that is broken off as it is lent ends no process', async () => {
  const pool = new BrokenOff()
  const store = new PostgresTokenStore({ pool, schema: 'any' })
  expect(await store.time()).toBe(7)
  expect(pool.connections).toBe(1)
})
