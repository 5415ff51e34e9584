import type { SealedEntry } from '../stores/journal-link.ts'
import { EMPTY_HEAD, type JournalHead } from '../stores/journal-link.ts'
import { type KeyInput, KeyRing } from '../tokens/key-ring.ts'
import { type BadEntry, ChainCheck } from './chain.ts'
import { type Checkpoint, isSigned } from './checkpoint.ts'
import { linesOf } from './lines.ts'

/** What the verification of an export found. */
export interface ExportVerification {
  /** Whether every line is as it was written, and the last is a checkpoint of their end. */
  readonly ok: boolean
  /** Entries that were good. */
  readonly entries: number
  /** The checkpoint at its end. */
  readonly checkpoint?: Checkpoint
  /** The first line that is not as it was written. */
  readonly firstBad?: BadEntry
  /** Its number in the file, from 1. */
  readonly line?: number
}

/** A line may not be longer. */
const MAX_LINE = 1024 * 1024

/**
 * Proves an exported journal with the key ring alone.
 *
 * @param source - the text, in pieces of any size
 * @param keys - the key ring that wrote it
 * @param from - the place after which it begins; absent = at the journal's beginning
 */
export async function verifyExport(
  source: Iterable<string> | AsyncIterable<string>,
  keys: string | readonly KeyInput[] | KeyRing,
  from?: JournalHead,
): Promise<ExportVerification> {
  const ring = KeyRing.from(keys)
  const check = new ChainCheck(
    ring.ids.map((id) => ring.subkey('journal', id)),
    from ?? EMPTY_HEAD,
  )
  let line = 0
  let checkpoint: Checkpoint | undefined
  const bad = (firstBad: BadEntry): ExportVerification => ({ ok: false, entries: check.entries, firstBad, line })
  for await (const text of linesOf(source, MAX_LINE)) {
    line += 1
    const seq = (check.head?.seq ?? 0) + 1
    if (checkpoint !== undefined) return bad({ problem: 'moved', seq })
    const parsed = parse(text)
    if (parsed === undefined) return bad({ problem: 'changed', seq })
    if ('checkpoint' in parsed) {
      checkpoint = parsed.checkpoint
      const known = typeof checkpoint === 'object' && checkpoint !== null && ring.ids.includes(checkpoint.key)
      if (!known || !isSigned('checkpoint', checkpoint, ring.subkey('journal', checkpoint.key))) {
        return bad({ problem: 'signature', seq })
      }
      if (checkpoint.seq !== check.head?.seq || checkpoint.mac !== check.head.mac) return bad({ problem: 'cut', seq })
    } else {
      const found = check.add(parsed)
      if (found !== undefined) return bad(found)
    }
  }
  if (checkpoint === undefined) return bad({ problem: 'cut', seq: (check.head?.seq ?? 0) + 1 })
  return { ok: true, entries: check.entries, checkpoint }
}

/** A line as an entry or a checkpoint; `undefined` for anything that can't be one. */
function parse(text: string): SealedEntry | { readonly checkpoint: Checkpoint } | undefined {
  try {
    const value = JSON.parse(text) as { readonly [name: string]: unknown }
    if (typeof value !== 'object' || value === null || JSON.stringify(value) !== text) return undefined
    if ('checkpoint' in value) return Object.keys(value).length === 1 ? (value as never) : undefined
    const texts = ['id', 'actor', 'action', 'kind', 'subject', 'data', 'tag', 'mac']
    const numbers = ['at', 'revision', 'seq']
    const formed =
      texts.every((name) => typeof value[name] === 'string') &&
      numbers.every((name) => Number.isSafeInteger(value[name]))
    const said = value['reason'] === undefined || (typeof value['reason'] === 'string' && value['reason'] !== '')
    return formed && said && Object.keys(value).every((name) => ENTRY_FIELDS.has(name)) ? (value as never) : undefined
  } catch {
    return undefined
  }
}

const ENTRY_FIELDS = new Set([
  ...['id', 'at', 'actor', 'action', 'kind', 'subject', 'revision', 'data', 'reason', 'detail', 'tag', 'seq', 'mac'],
])
