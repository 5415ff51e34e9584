import { chownSync, existsSync } from 'node:fs'

const NOBODY = 65_534

/** Runs `action` as a user whom file modes bind: root is bound by none. The folder and its files become that user's. */
export async function asUser(place: { folder: string; path: string }, action: () => Promise<void>): Promise<void> {
  if (process.geteuid?.() !== 0) return await action()
  for (const path of [place.folder, place.path, `${place.path}-wal`, `${place.path}-shm`]) {
    if (existsSync(path)) chownSync(path, NOBODY, NOBODY)
  }
  process.setegid?.(NOBODY)
  process.seteuid?.(NOBODY)
  try {
    await action()
  } finally {
    process.seteuid?.(0)
    process.setegid?.(0)
  }
}
