import type { SealedEntry } from '../stores/journal-link.ts'
import type { TokenStore } from '../stores/token-store.ts'

/** Clocks of instances may differ by so much before an entry's time says nothing of its place, ms. */
export const SLACK = 600_000

/** What a search goes by: instants, epoch ms. */
interface Span {
  readonly from: number
  readonly to: number
  readonly reverse: boolean
}

/** Where to begin to read: behind what is certainly too old (or, backwards, before what is too new). */
export async function edgeOf(store: TokenStore, { from, to, reverse }: Span): Promise<number | undefined> {
  if (reverse) return to === Number.POSITIVE_INFINITY ? undefined : (await firstFrom(store, to + SLACK))?.seq
  if (from === 0) return undefined
  const first = await firstFrom(store, from - SLACK)
  return first === undefined ? (await store.journalHead()).seq : first.seq - 1
}

/** The last entry of those that are all older than an instant; never the last of all. */
export async function lastBefore(store: TokenStore, at: number): Promise<SealedEntry | undefined> {
  const first = await firstFrom(store, at - SLACK)
  const { seq } = await store.journalHead()
  const [last] = await store.journal({ after: Math.min(first?.seq ?? seq, seq), reverse: true, limit: 1 })
  return last
}

/** The first entry that was written at or after an instant, found by halving: entries are nearly in order of time. */
async function firstFrom(store: TokenStore, at: number): Promise<SealedEntry | undefined> {
  let low = 0
  let high = (await store.journalHead()).seq
  let found: SealedEntry | undefined
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const [entry] = await store.journal({ after: middle, limit: 1 })
    if (entry === undefined || entry.at >= at) {
      found = entry ?? found
      high = middle
    } else low = Math.max(entry.seq, middle + 1)
  }
  return found
}
