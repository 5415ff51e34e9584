import type { StoreChange, Write } from '../stores/token-store.ts'

/** PostgreSQL takes payloads of less than 8000 bytes. */
const MAX_BYTES = 7900

/**
 * What a commit tells other instances: the records of journaled kinds that it writes. Each notification is a JSON list of
 * its sender, then kinds and ids in turn; one that would be too long is cut into several.
 */
export function notificationsOf(origin: string, writes: readonly Write[]): readonly string[] {
  const payloads: string[] = []
  const start = JSON.stringify([origin]).slice(0, -1)
  let payload = start
  let bytes = start.length
  for (const { kind, id } of writes) {
    if (!kind.journaled) continue
    const more = `,${JSON.stringify(kind.name)},${JSON.stringify(id)}`
    const size = Buffer.byteLength(more)
    if (bytes + size >= MAX_BYTES) {
      payloads.push(`${payload}]`)
      payload = start
      bytes = start.length
    }
    payload += more
    bytes += size
  }
  if (payload !== start) payloads.push(`${payload}]`)
  return payloads
}

/** The changes of a notification; none of this store's own, nor of what has another form. */
export function readNotification(origin: string, payload: string | undefined): readonly StoreChange[] {
  let list: unknown
  try {
    list = JSON.parse(payload ?? '')
  } catch {
    return []
  }
  if (!Array.isArray(list) || list[0] === origin) return []
  const changes: StoreChange[] = []
  for (let i = 1; i + 1 < list.length; i += 2) {
    const [kind, id]: unknown[] = [list[i], list[i + 1]]
    if (typeof kind === 'string' && typeof id === 'string') changes.push(Object.freeze({ kind, id }))
  }
  return changes
}
