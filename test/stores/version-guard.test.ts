import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { PostgresTokenStore } from '../../src/postgres/postgres-token-store.ts'
import { MemoryTokenStore } from '../../src/stores/memory-token-store.ts'
import type { TokenStore } from '../../src/stores/token-store.ts'
import { draft } from '../../src/testing/store-suite/kit.ts'
import { tokenKind } from '../../src/tokens/record.ts'
import type { TokenRecord, TokenVersion } from '../../src/tokens/stored-token.ts'
import { setUp } from '../issuing/fixture.ts'
import { dropSchema, freshSchema, newPool, there } from '../postgres/database.ts'

/** What stands behind every writer: no store takes a token whose versions break the rule, whoever made it. */
const worlds: Record<string, () => Promise<{ store: TokenStore; release: () => Promise<void> }>> = {
  'in memory': async () => ({ store: new MemoryTokenStore(), release: async () => {} }),
  'in a file': async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tokenwright-'))
    const store = await FileTokenStore.open(join(folder, 'tokens.db'))
    return {
      store,
      release: async () => {
        await store.close()
        await rm(folder, { recursive: true })
      },
    }
  },
}
if (there) {
  const pool = newPool()
  afterAll(() => pool.end())
  worlds['on a server'] = async () => {
    const schema = freshSchema()
    const store = new PostgresTokenStore({ pool, schema })
    await store.migrate()
    return {
      store,
      release: async () => {
        await store.close()
        await dropSchema(pool, schema)
      },
    }
  }
}

describe.each(Object.entries(worlds))('%s', (_name, open) => {
  it('two current versions, two pending ones, one without a deadline or with a number again are refused', async () => {
    const { store, release } = await open()
    const { tokens } = setUp({ store })
    const { token, record } = await tokens.generate({ service: 'A' })
    const stored = await store.get(tokenKind, record.id)
    if (stored === undefined) throw new Error('no record')
    const only = stored.value.versions[0] as TokenVersion
    const version = (n: number, more: Partial<TokenVersion>): TokenVersion => ({ ...only, n, digests: {}, ...more })
    const broken: Record<string, readonly TokenVersion[]> = {
      'no version': [],
      'two current ones': [only, version(2, { state: 'current' })],
      'two pending ones': [
        only,
        version(2, { state: 'pending', pendingUntil: 1 }),
        version(3, { state: 'pending', pendingUntil: 2 }),
      ],
      'a previous one without a deadline': [version(1, { state: 'previous' }), version(2, { state: 'current' })],
      'a pending one without a deadline': [only, version(2, { state: 'pending' })],
      'a number given twice': [version(1, { state: 'previous', graceUntil: 1 }), only],
    }
    for (const [what, versions] of Object.entries(broken)) {
      const value: TokenRecord = { ...stored.value, versions }
      const commit = draft([{ kind: tokenKind, id: record.id, revision: stored.revision, value }])
      const outcome = await Promise.resolve()
        .then(() => store.commit(commit))
        .then(
          () => 'taken',
          (error) => error.code,
        )
      expect([what, outcome]).toEqual([what, 'ERR_INVALID_COMMIT'])
    }
    expect(await store.get(tokenKind, record.id)).toEqual(stored)
    expect((await tokens.verify(token)).ok).toBe(true)
    await tokens.close()
    await release()
  })
})
