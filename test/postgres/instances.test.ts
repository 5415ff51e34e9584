import { afterAll, afterEach, beforeEach, describe, expect, it } from 'vitest'
import { generateSecret, Tokenwright } from '../../src/index.ts'
import { PostgresTokenStore } from '../../src/postgres/index.ts'
import { type Child, startChild } from '../child-process.ts'
import { forgetKeys, redisThere } from '../redis/server.ts'
import type { InstanceOrder, InstanceSetup } from './children/instance.ts'
import { dropSchema, freshSchema, newPool, there } from './database.ts'

/** A process that is an instance. */
class Instance {
  readonly #child: Child
  #answers = 1

  private constructor(child: Child) {
    this.#child = child
  }

  static async start(setup: InstanceSetup): Promise<Instance> {
    const child = startChild('postgres/children/instance.ts', JSON.stringify(setup))
    await child.printed(1)
    expect(child.lines[0]).toBe('ready')
    return new Instance(child)
  }

  async ask<T>(order: InstanceOrder): Promise<T> {
    this.#answers += 1
    const wanted = this.#answers
    this.#child.process.stdin?.write(`${JSON.stringify(order)}\n`)
    await this.#child.printed(wanted)
    return JSON.parse(this.#child.lines[wanted - 1] ?? 'null') as T
  }

  async stop(): Promise<void> {
    this.#child.process.stdin?.end()
    await this.#child.ended
  }
}

describe.runIf(there)('processes of a service on one PostgreSQL', () => {
  const pool = newPool({ max: 4 })
  const keys = generateSecret()
  let schema = ''
  let tokens: Tokenwright
  const instances: Instance[] = []
  const start = async (count: number, setup: Partial<InstanceSetup>) => {
    const each = { schema, keys, maxStaleness: 60_000, name: `tokenwright-test-${process.pid}-${schema}`, ...setup }
    const started = await Promise.all(Array.from({ length: count }, () => Instance.start(each)))
    instances.push(...started)
    return started
  }
  beforeEach(async () => {
    schema = freshSchema()
    tokens = new Tokenwright({ store: await PostgresTokenStore.open({ pool, schema }), keys })
  })
  afterEach(async () => {
    await Promise.all(instances.splice(0).map((instance) => instance.stop()))
    await tokens.close()
    await dropSchema(pool, schema)
  })
  afterAll(async () => {
    if (redisThere) await forgetKeys(`tokenwright-test-${process.pid}-`)
    await pool.end()
  })

  describe.each(['postgres', 'redis'] as const)('limits in %s', (limiter) => {
    it.runIf(limiter === 'postgres' || redisThere)(
      '400 parallel verifies of 4 processes against a limit of 10 are let through exactly 10 times',
      async () => {
        const processes = await start(4, { limiter })
        const { token } = await tokens.generate({ service: 'A', rateLimit: { limit: 10, per: '1d' } })
        const codes = await Promise.all(
          processes.map((each) => each.ask<Record<string, number>>({ do: 'verify', token, times: 100 })),
        )
        const sum = (code: string) => codes.reduce((total, each) => total + (each[code] ?? 0), 0)
        expect([sum('ok'), sum('rate_limited')]).toEqual([10, 390])
        // The same beneath the verifier, on a key that all processes make at the same moment.
        const granted = await Promise.all(
          processes.map((each) => each.ask<{ granted: number }>({ do: 'limiter', key: 'one key', times: 100 })),
        )
        expect(granted.reduce((total, each) => total + each.granted, 0)).toBe(10)
      },
      60_000,
    )
  })

  /** How long a revocation in one process takes to hold in the other: from its commit on, ms. */
  async function delays(setup: Partial<InstanceSetup>, rounds: number): Promise<number[]> {
    const [here, there] = (await start(2, setup)) as [Instance, Instance]
    const found: number[] = []
    for (let n = 0; n < rounds; n++) {
      const service = `S${n}`
      const { token } = await tokens.generate({ service })
      expect(await there.ask({ do: 'verify', token, times: 1 })).toEqual({ ok: 1 })
      const waiting = there.ask<{ at: number }>({ do: 'wait', token })
      const { at } = await here.ask<{ at: number }>({ do: 'revoke', service })
      found.push((await waiting).at - at)
    }
    return found
  }

  it('a revocation holds in another process within a second, by LISTEN', async () => {
    const found = await delays({ changes: 'listen' }, 10)
    expect(Math.max(...found)).toBeLessThan(1000)
  }, 60_000)

  it.runIf(redisThere)(
    'a revocation holds in another process within a second, by the channel in Redis',
    async () => {
      const found = await delays({ changes: 'redis' }, 10)
      expect(Math.max(...found)).toBeLessThan(1000)
    },
    60_000,
  )

  it('without a channel it holds within maxStaleness, and not at once', async () => {
    const maxStaleness = 600
    const found = await delays({ maxStaleness }, 4)
    // What a busy machine adds between two questions is none of the verifier's.
    expect(Math.max(...found)).toBeLessThan(maxStaleness + 250)
    expect(Math.max(...found)).toBeGreaterThan(50)
    expect(Math.max(...(await delays({ maxStaleness: 0 }, 4)))).toBeLessThan(250)
  }, 60_000)
})
