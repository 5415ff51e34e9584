import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A new folder (mode 700) for one test, and the way to remove it. */
export function testFolder(): { readonly folder: string; readonly path: string; remove(): void } {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-'))
  return { folder, path: join(folder, 'tokens.db'), remove: () => rmSync(folder, { recursive: true, force: true }) }
}
