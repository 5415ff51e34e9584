import { describe, expect, it } from 'vitest'
import { MemoryTokenStore } from '../../src/stores/memory-token-store.ts'
import { eventKind } from '../../src/stores/outbox.ts'
import type { Commit, TokenStore } from '../../src/stores/token-store.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'

/** Runs the suite over a store and answers the names of the tests that failed. */
async function failures(make: () => TokenStore): Promise<string[]> {
  const tests: { name: string; body: () => Promise<void> }[] = []
  tokenStoreSuite(() => ({ store: make() }), {
    describe: (_, body) => body(),
    it: (name, body) => tests.push({ name, body }),
    expect,
  })
  const failed: string[] = []
  for (const { name, body } of tests) {
    try {
      await body()
    } catch {
      failed.push(name)
    }
  }
  return failed
}

/** A memory store with some of its methods replaced. */
function broken(replace: (store: MemoryTokenStore) => Partial<TokenStore>): () => TokenStore {
  return () => {
    const store = new MemoryTokenStore()
    const replaced = replace(store) as { [name: string]: unknown }
    return new Proxy(store, {
      get: (target, name) => {
        if (typeof name === 'string' && Object.hasOwn(replaced, name)) return replaced[name]
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? value.bind(target) : value
      },
    }) as TokenStore
  }
}

/** Lets a commit through after changing it. */
function changed(change: (commit: Commit, store: MemoryTokenStore) => Commit) {
  return broken((store) => ({ commit: (commit) => store.commit(change(commit, store)) }))
}

let replayed = 0

const faults: { readonly [what: string]: () => TokenStore } = {
  'takes any revision': changed((commit, store) => {
    const expect = commit.expect.map((each) => ({ ...each, revision: store.get(each.kind, each.id)?.revision ?? 0 }))
    const revisions = new Map(expect.map((each) => [`${each.kind.name}/${each.id}`, each.revision + 1]))
    const revision = (kind: string, id: string, own: number) => revisions.get(`${kind}/${id}`) ?? own
    return {
      ...commit,
      expect,
      journal: commit.journal.map((e) => ({ ...e, revision: revision(e.kind, e.subject, e.revision) })),
    }
  }),
  'ignores expectations without a write': changed((commit) => ({
    ...commit,
    expect: commit.expect.filter((each) => commit.write.some((write) => write.id === each.id)),
  })),
  'does a commit again when it comes again': changed((commit) => {
    replayed += 1
    return { ...commit, id: `${commit.id}-${replayed}` }
  }),
  'writes one record at a time': broken((store) => ({
    commit: (commit) => {
      const revisions: number[] = []
      for (const write of commit.write) {
        const about = <T extends { readonly kind: unknown }>(list: readonly T[], id: (each: T) => string) =>
          list.filter((each) => id(each) === write.id)
        const part = { ...commit, id: `${commit.id}/${write.id}`, write: [write] }
        const answer = store.commit({
          ...part,
          expect: about(commit.expect, (each) => each.id),
          journal: about(commit.journal, (each) => each.subject),
        })
        revisions.push(...answer.revisions)
      }
      return { revisions, replayed: false }
    },
  })),
  'goes on in the same epoch': broken((store) => ({
    commit: (commit) => {
      const write = commit.write.map((each) => ('revision' in each ? { ...each, revision: undefined } : each))
      const next = (id: string) => (commit.expect.find((each) => each.id === id)?.revision ?? 0) + 1
      const journal = commit.journal.map((each) => ({ ...each, revision: next(each.subject) }))
      return store.commit({ ...commit, write: write as Commit['write'], journal })
    },
  })),
  'tells no tombstones by id': broken((store) => ({
    rows: (kind, ids) => store.rows(kind, ids).map((row) => (row !== undefined && 'value' in row ? row : undefined)),
  })),
  'forgets the journal': changed((commit) => ({
    ...commit,
    link: (_, entries) => entries.map((e) => ({ ...e, seq: 1, mac: 'x' })),
  })),
  'starts the chain anew with each commit': changed((commit) => ({
    ...commit,
    link: (head, entries) => commit.link?.({ seq: head.seq, mac: '' }, entries) ?? [],
  })),
  'forgets the outbox': changed(({ outbox: _, ...commit }) => commit),
  'makes every event due': broken((store) => ({
    list: (kind, query) => {
      if (kind.name !== eventKind.name || query.index !== 'due') return store.list(kind, query)
      return { items: ['e1', 'e2', 'e3'].flatMap((id) => store.get(kind, id) ?? []) }
    },
  })),
  'does not hand over what is due': broken((store) => ({
    commit: (commit) => {
      const answer = store.commit(commit)
      for (const write of commit.write) {
        if (write.kind.name !== eventKind.name || !('remove' in write)) continue
        for (const { value } of store.list(eventKind, { index: 'due', limit: 100 }).items) {
          const { dueAt: _, ...rest } = value
          const lost = { kind: eventKind, id: value.id, value: rest }
          store.commit({ id: `lose ${commit.id} ${value.id}`, expect: [], write: [lost], journal: [] })
        }
      }
      return answer
    },
  })),
  'shows unfrozen values': broken((store) => ({
    get: (kind, id) => structuredClone(store.get(kind, id)),
  })),
  'finds the last hit': broken((store) => ({
    find: (kind, index, keys) => store.find(kind, index, [...keys].reverse()),
  })),
  'finds nothing but the first key': broken((store) => ({
    find: (kind, index, keys) => store.find(kind, index, keys.slice(0, 1)),
  })),
  'includes the end of a range': broken((store) => ({
    list: (kind, query) => store.list(kind, query.to === undefined ? query : { ...query, to: query.to + 1 }),
  })),
  'excludes the start of a range': broken((store) => ({
    list: (kind, query) => store.list(kind, query.from === undefined ? query : { ...query, from: query.from + 1 }),
  })),
  'ignores reverse': broken((store) => ({ list: (kind, query) => store.list(kind, { ...query, reverse: false }) })),
  'ignores partitions': broken((store) => ({ list: (kind, { in: _, ...query }) => store.list(kind, query) })),
  'ends after one page': broken((store) => ({ list: (kind, query) => ({ items: store.list(kind, query).items }) })),
  'repeats the end of the page before': broken((store) => ({
    list: (kind, query) => {
      const { items, cursor } = store.list(kind, query)
      return cursor === undefined ? { items } : { items, cursor: cursor.slice(0, cursor.indexOf(':') + 1) }
    },
  })),
  'makes cells that do not live': broken((store) => ({
    cell: (kind, index, key) => {
      const cell = store.cell(kind, index, key)
      return cell === undefined ? undefined : { current: cell.current, memo: undefined }
    },
  })),
  'makes a new cell each time': broken((store) => ({
    cell: (kind, index, key) => {
      const cell = store.cell(kind, index, key)
      if (cell === undefined) return undefined
      return {
        get current() {
          return cell.current
        },
        memo: undefined,
      }
    },
  })),
  'sends counts twice': broken((store) => ({
    addUsage: (flush, increments) => {
      store.addUsage(flush, increments)
      store.addUsage(`${flush}'`, increments)
    },
  })),
  'forgets which flush it had': broken((store) => {
    let flushes = 0
    return {
      addUsage: (flush, increments) => {
        flushes += 1
        store.addUsage(`${flush} ${flushes}`, increments)
      },
    }
  }),
  'counts refused calls as activity': broken((store) => ({
    addUsage: (flush, increments) =>
      store.addUsage(
        flush,
        increments.map((each) => ({ ...each, outcome: 'ok' })),
      ),
  })),
  'tells watchers of refused commits': broken((store) => {
    const heard = new Set<(change: { kind: string; id: string }) => void>()
    return {
      commit: (commit) => {
        for (const onChange of heard) for (const { kind, id } of commit.write) onChange({ kind: kind.name, id })
        return store.commit(commit)
      },
      watch: (onChange) => {
        heard.add(onChange)
        return () => void heard.delete(onChange)
      },
    }
  }),
  'scans what is there when the page is read': broken((store) => ({
    async *scan(kinds) {
      const pages = []
      for await (const page of store.scan(kinds)) pages.push(page)
      for (const page of pages) {
        yield page.flatMap((row) => {
          const kind = kinds.find((each) => each.name === row.kind)
          const now = kind === undefined ? undefined : store.get(kind, row.id)
          return now === undefined ? [] : [{ kind: row.kind, ...now }]
        })
      }
    },
  })),
  'hides tombstones from scans': broken((store) => ({
    async *scan(kinds) {
      for await (const page of store.scan(kinds)) yield page.filter((row) => 'value' in row)
    },
  })),
  'brings the removed back': broken((store) => {
    const graves = new Set<string>()
    return {
      commit: (commit) => {
        for (const write of commit.write) if ('tombstone' in write) graves.add(write.id)
        const returns = commit.write.some((write) => 'value' in write && graves.has(write.id))
        return returns ? { revisions: commit.write.map(() => 1), replayed: false } : store.commit(commit)
      },
    }
  }),
  'frees the keys of the removed': changed((commit) => ({
    ...commit,
    write: commit.write.map((write) =>
      'tombstone' in write ? { ...write, tombstone: { ...write.tombstone, digests: [] } } : write,
    ),
  })),
  'answers after it was closed': broken(() => ({ close: () => undefined })),
  'throws errors without codes': broken((store) => ({
    commit: (commit) => {
      try {
        return store.commit(commit)
      } catch {
        throw new Error('it went wrong')
      }
    },
  })),
}

describe('tokenStoreSuite', () => {
  it('passes over a right store, also one that answers with promises', async () => {
    expect(await failures(() => new MemoryTokenStore())).toEqual([])
    const late = broken((store) => ({
      get: async (kind, id) => store.get(kind, id),
      find: async (kind, index, keys) => store.find(kind, index, keys),
      list: async (kind, query) => store.list(kind, query),
      commit: async (commit) => store.commit(commit),
      journal: async (query) => store.journal(query),
      addUsage: async (flush, increments) => store.addUsage(flush, increments),
      usage: async (query) => store.usage(query),
      close: async () => store.close(),
    }))
    expect(await failures(late)).toEqual([])
  })

  it('passes over a store that has none of the optional parts', async () => {
    const bare = broken(
      () => ({ cell: undefined, watch: undefined, scan: undefined }) as unknown as Partial<TokenStore>,
    )
    expect(await failures(bare)).toEqual([])
  })

  for (const [what, make] of Object.entries(faults)) {
    it(`fails over a store that ${what}`, async () => {
      expect(await failures(make)).not.toEqual([])
    })
  }
})
