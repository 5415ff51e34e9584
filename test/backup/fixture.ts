import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { CORE_KINDS } from '../../src/backup/archived-kind.ts'
import { keyKind } from '../../src/stores/key-check.ts'
import type { ScanRow, TokenStore } from '../../src/stores/token-store.ts'

/** A folder for one test, removed by the test's own cleanup. */
export function archiveFolder(): { readonly folder: string; at(name: string): string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-backup-'))
  return {
    folder,
    at: (name) => join(folder, name),
    remove: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** What a store holds of the archived kinds, without revisions: ids with values and tombstones. */
export async function contents(store: TokenStore, kinds = CORE_KINDS): Promise<Map<string, unknown>> {
  const found = new Map<string, unknown>()
  for (const row of await allRows(store, kinds)) {
    found.set(`${row.kind}/${row.id}`, JSON.parse(JSON.stringify('value' in row ? row.value : { gone: row.tombstone })))
  }
  return found
}

/** Every row of the archived kinds. */
export async function allRows(store: TokenStore, kinds = CORE_KINDS): Promise<ScanRow[]> {
  const rows: ScanRow[] = []
  const names = kinds.map(({ kind }) => kind).filter((kind) => kind !== keyKind)
  for await (const page of store.scan?.(names) ?? []) rows.push(...page)
  return rows
}

/** Bytes as a stream, in pieces of a size. */
export async function* piecesOf(bytes: Uint8Array, size = 1000): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

/** The code of the error that came, or `ok`. */
export async function codeFrom(action: () => unknown): Promise<string> {
  try {
    await action()
    return 'ok'
  } catch (error) {
    return String((error as { code?: unknown }).code ?? error)
  }
}

/** A store that counts commits and other writes. */
export function countWrites<S extends TokenStore>(store: S): { readonly store: S; readonly writes: string[] } {
  const writes: string[] = []
  const proxy = new Proxy(store, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'commit' && name !== 'addUsage') return value.bind(target)
      return (...args: unknown[]) => {
        writes.push(name)
        return value.apply(target, args)
      }
    },
  })
  return { store: proxy, writes }
}
