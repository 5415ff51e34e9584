import type { Kind } from '../kernel/kind.ts'
import { nextTurn } from '../kernel/turn.ts'
import type { ScanRow, TokenStore } from '../stores/token-store.ts'
import type { UsagePoint } from '../stores/usage-rows.ts'
import type { ArchiveLine } from './archive-lines.ts'
import type { ArchivedKind } from './archived-kind.ts'

const PAGE = 500
const USAGE_PAGE = 1000

/** Whether a store can be read as of one point. */
export function readsOnePoint(store: TokenStore): boolean {
  return store.scan !== undefined && store.durability().snapshot
}

/**
 * Every record and tombstone of some kinds. A store that can't scan is listed by an index: what others change meanwhile
 * may be missing or stand twice, and tombstones aren't told.
 */
export async function* storeRows(
  store: TokenStore,
  kinds: readonly ArchivedKind[],
): AsyncGenerator<readonly ScanRow[]> {
  if (store.scan !== undefined) {
    for await (const page of store.scan(kinds.map(({ kind }) => kind))) {
      yield page
      // A store in this process answers without waiting: others have their turn here.
      await nextTurn()
    }
    return
  }
  const listings = kinds.flatMap(({ kind, all }) => all.map((index) => ({ kind, index })))
  for (const { kind, index } of listings) {
    for (let cursor: string | undefined; ; ) {
      const page = await store.list(kind as Kind<unknown>, { index, limit: PAGE, cursor })
      if (page.items.length > 0)
        yield page.items.map(({ id, revision, value }) => ({ kind: kind.name, id, revision, value }))
      cursor = page.cursor
      if (cursor === undefined) break
    }
  }
}

/** The journal up to its end as of now, without its places in the chain. */
export async function* journalLines(store: TokenStore): AsyncGenerator<readonly ArchiveLine[]> {
  const end = (await store.journalHead()).seq
  for (let after = 0; after < end; ) {
    const entries = await store.journal({ after, limit: PAGE })
    const last = entries.at(-1)
    if (last === undefined) return
    after = last.seq
    const within = entries.filter((entry) => entry.seq <= end)
    yield within.map(({ seq: _seq, mac: _mac, ...entry }) => ({ entry }))
  }
}

/** Every usage row. */
export async function* usageLines(store: TokenStore): AsyncGenerator<readonly ArchiveLine[]> {
  for (let after: UsagePoint | undefined; ; ) {
    const rows = await store.usage({ after, limit: USAGE_PAGE })
    if (rows.length === 0) return
    yield rows.map((usage) => ({ usage }))
    after = rows.at(-1)
  }
}
