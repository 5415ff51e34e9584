import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { monitorEventLoopDelay } from 'node:perf_hooks'
import { FileTokenStore } from '../src/file/index.ts'
import { generateSecret, Tokenwright } from '../src/index.ts'
import { summarize } from './measure.ts'
import { tokenInput } from './population.ts'
import type { Report } from './result.ts'

const TOKENS = 10_000
const ONE_BY_ONE = 1000
const RUNS = 3

/** Rotating many tokens of a file store, beside rotating them one at a time. */
export async function bulkSection(report: Report): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tokenwright-bulk-'))
  const store = await FileTokenStore.open(join(folder, 'tokens.db'))
  const tokens = new Tokenwright({ store, keys: generateSecret() })
  try {
    // Kept as sealed copies: every new value has a recipient.
    const made: Promise<unknown>[] = []
    for (let i = 0; i < TOKENS; i++) {
      made.push(tokens.generate({ ...tokenInput(i), retrievable: true }))
      if (made.length === 64) await Promise.all(made.splice(0))
    }
    await Promise.all(made)
    const ratios: number[] = []
    const delays: number[] = []
    for (let run = 0; run < RUNS; run++) {
      const alone = performance.now()
      for (let i = 0; i < ONE_BY_ONE; i++)
        await tokens.rotate(`service-${(run * ONE_BY_ONE + i) % TOKENS}`, { grace: 0 })
      const each = (performance.now() - alone) / ONE_BY_ONE
      const delay = monitorEventLoopDelay({ resolution: 1 })
      delay.enable()
      const start = performance.now()
      const { rotated } = await tokens.rotator.bulkRotate({ grace: 0 })
      const perToken = (performance.now() - start) / TOKENS
      delay.disable()
      if (rotated !== TOKENS) throw new Error(`${rotated} of ${TOKENS} were rotated`)
      ratios.push(each / perToken)
      delays.push(delay.max / 1e6)
    }
    report('bulk.speed', summarize(ratios), `${TOKENS} tokens, 16 at a time`)
    report('bulk.delay', summarize(delays))
  } finally {
    await tokens.close()
    rmSync(folder, { recursive: true })
  }
}
