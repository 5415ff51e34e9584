import type { AutomationEvents } from '../src/automation/events.ts'
import { type RuleRecord, ruleKind } from '../src/automation/rule.ts'
import { dueRules, dueRuns } from '../src/automation/selection.ts'
import { type Clock, generateSecret, KeyRing, MemoryTokenStore, RuleEngine, systemClock } from '../src/index.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { Foundation } from '../src/stores/foundation.ts'
import { generateText, parseFormat } from '../src/tokens/format.ts'
import { tokenKind } from '../src/tokens/record.ts'
import { type Measured, measure, rawHmac, type Subject } from './measure.ts'
import { populate } from './population.ts'
import type { Report } from './result.ts'

/** A rule for each token, as a host has them that gives every token a date of its own. */
const COUNT = 1_000_000
/** A rule falls due each second. */
const APART = 1000
const PAGE = 500

/** What it costs to find what is due among a million rules, beside a million tokens. */
export async function rulesSection(report: Report): Promise<void> {
  const keys = KeyRing.from(generateSecret())
  const texts = Array.from({ length: 64 }, () => generateText(parseFormat({}), systemRandom()))
  const h = rawHmac(keys.subkey('digest'), texts)
  const start = Date.now() - COUNT * APART * 2
  const { clock, at } = clockAt(start)
  const store = new MemoryTokenStore({ clock })
  // Each token is made a second after the one before, so that ages select among them.
  await populate(
    store,
    keys,
    0,
    COUNT,
    (i) => {
      at(start + (i + 1) * APART)
      return false
    },
    clock,
  )
  const first = start + COUNT * APART
  at(first - 10 * APART)
  const base = Foundation.of<AutomationEvents>({ store, keys, clock })
  const all = await addRules(base, first)
  const rules = new RuleEngine({ foundation: base })
  rules.action('nothing', () => {})

  const quiet = first - 5 * APART
  await rules.check(quiet)
  report(
    'rules.idle',
    await measure({ run: () => rules.check(quiet) }, h),
    'the instant given; reading the clock is another 0.02',
  )

  // As a check does: runs that are due, then rules, page by page.
  const select = (due: number): Subject => ({
    run: () => {
      const now = first + (due - 1) * APART
      let found = (dueRuns(store, now) as { items: readonly unknown[] }).items.length
      for (let cursor: string | undefined; ; ) {
        const page = dueRules(store, now, cursor) as { items: readonly unknown[]; cursor?: string }
        found += page.items.length
        cursor = page.cursor
        if (cursor === undefined) break
      }
      if (found !== due) throw new Error(`${found} rules were found, not ${due}`)
    },
  })
  for (const due of [1, 100, 1999]) report(`rules.select.${due}`, over(await measure(select(due), h), due))

  const scan: Subject = {
    run: () => {
      const now = first + 99 * APART
      let found = 0
      for (const rule of all) {
        if (rule.enabled && rule.paused === undefined && rule.nextDueAt !== undefined && rule.nextDueAt <= now)
          found += 1
      }
      if (found !== 100) throw new Error(`${found} rules were found, not 100`)
    },
  }
  report('rules.scan', await measure(scan, select(100)), 'over the very objects that the store has')

  const oldest = start + 1998 * APART
  const byAge: Subject = {
    run: () => {
      let found = 0
      for (let cursor: string | undefined; ; ) {
        const page = store.list(tokenKind, { index: 'rotated', to: oldest + 1, limit: PAGE, cursor })
        found += page.items.length
        cursor = page.cursor
        if (cursor === undefined) break
      }
      if (found !== 1999) throw new Error(`${found} tokens were found, not 1999`)
    },
  }
  report('rules.tokens.1999', over(await measure(byAge, h), 1999))

  let next = first - APART
  const run: Subject = {
    async: true,
    operations: 1,
    run: async () => {
      next += 100 * APART
      at(next)
      const { runs } = await rules.check(next)
      if (runs.length !== 100) throw new Error(`${runs.length} rules were run, not 100`)
    },
  }
  report('rules.run', over(await measure(run, h), 100), 'two commits, the first with its journal entry')
}

async function addRules(base: Foundation<AutomationEvents>, first: number): Promise<RuleRecord[]> {
  const all: RuleRecord[] = []
  const made = base.clock.now()
  for (let i = 0; i < COUNT; i++) {
    const id = `rule_${String(i).padStart(7, '0')}`
    const value: RuleRecord = {
      id,
      name: `rotate ${i}`,
      action: 'nothing',
      services: [`service-${i}`],
      schedule: { every: COUNT * APART },
      catchUp: 'one',
      overlap: 'skip',
      attempts: 3,
      maxDuration: 3_600_000,
      pauseAfter: 5,
      enabled: true,
      createdAt: made,
      updatedAt: made,
      begunAt: made,
      anchor: first + i * APART,
      nextSlot: first + i * APART,
      nextDueAt: first + i * APART,
      runs: 0,
    }
    await base.commits.write({}, [{ kind: ruleKind, id, revision: 0, to: { value }, action: 'rule.created' }])
    all.push(value)
  }
  return all
}

function clockAt(start: number): { clock: Clock; at: (now: number) => void } {
  let now = start
  const system = systemClock()
  const clock: Clock = {
    now: () => now,
    monotonic: () => system.monotonic(),
    setTimer: (delay, callback, options) => system.setTimer(delay, callback, options),
    sleep: (delay, options) => system.sleep(delay, options),
    onJump: () => () => {},
  }
  return {
    clock,
    at: (to) => {
      now = to
    },
  }
}

function over({ value, low, high }: Measured, count: number): Measured {
  return { value: value / count, low: low / count, high: high / count }
}
