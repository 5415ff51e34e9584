import { TokenwrightError } from '../kernel/errors.ts'
import { nextTurn } from '../kernel/turn.ts'
import { type Attribution, retryStale } from '../stores/commit.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { SealedEntry } from '../stores/journal-link.ts'
import { signCheckpoint } from './checkpoint.ts'
import { BASE_ID, type JournalBase, journalBaseKind } from './journal-base.ts'
import { lastBefore } from './journal-search.ts'

/** What letting go of old entries did. */
export interface PruneReport {
  /** Entries that went. */
  readonly removed: number
  /** The sequence number after which the journal is kept now. */
  readonly from: number
  /** Whether there is more to let go of; call again. */
  readonly more: boolean
}

/** The codes of the errors of this room. */
export type JournalErrorCode = 'ERR_PRUNE_UNSUPPORTED'

/** The journal can't be let go of here: the store has no way to. */
export class PruneUnsupportedError extends TokenwrightError<'ERR_PRUNE_UNSUPPORTED'> {
  constructor() {
    super('ERR_PRUNE_UNSUPPORTED', 'this store can not let go of journal entries', {
      help: 'leave the retention out, or use a store with pruneJournal',
    })
  }
}

/** Entries let go of at a time. */
const BATCH = 2000
/** Batches of one call, at most. */
const BATCHES = 25

/**
 * Lets go of entries older than `age` ms, oldest first.
 *
 * @throws PruneUnsupportedError where the store can't
 */
export async function prune(base: Foundation<object>, age: number, by: Attribution): Promise<PruneReport> {
  const { store, clock } = base
  if (store.pruneJournal === undefined) throw new PruneUnsupportedError()
  const before = clock.now() - age
  const known = await store.get(journalBaseKind, BASE_ID)
  const from = known?.value.place.seq ?? 0
  const last = await lastBefore(store, before)
  const end = last !== undefined && last.seq > from ? await moveBase(base, last, by) : from
  let removed = 0
  for (let batch = 0; batch < BATCHES; batch++) {
    const gone = await store.pruneJournal(end, BATCH)
    removed += gone
    if (gone < BATCH) return { removed, from: end, more: false }
    await nextTurn()
  }
  return { removed, from: end, more: true }
}

/** Signs the place after which the journal is kept from now on. */
function moveBase(base: Foundation<object>, last: SealedEntry, by: Attribution): Promise<number> {
  const { store, keys, clock } = base
  return retryStale(async () => {
    const known = await store.get(journalBaseKind, BASE_ID)
    if (known !== undefined && known.value.place.seq >= last.seq) return known.value.place.seq
    const place = signCheckpoint('base', last, clock.now(), keys.activeId, keys.subkey('journal'))
    const value: JournalBase = { place }
    const detail = { seq: last.seq, mac: last.mac }
    const revision = known?.revision ?? 0
    const change = { kind: journalBaseKind, id: BASE_ID, revision, to: { value }, action: 'journal.pruned', detail }
    await base.write(by, [change], [])
    return last.seq
  })
}
