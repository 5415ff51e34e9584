import { formatDuration } from '../kernel/duration.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { type RuleRecord, ruleKind } from './rule.ts'

/** Some rules by name, and how many there are. */
export interface RuleList {
  /** How many, up to 1000. */
  readonly count: number
  /** The first names, at most 20. */
  readonly rules: readonly string[]
}

/** How the rules are. It is a health source for the front door. */
export interface RuleHealth {
  readonly status: 'healthy' | 'degraded' | 'unhealthy' | 'unknown'
  /** In plain words, when it isn't healthy. */
  readonly reasons: readonly string[]
  /** Due for some time, and not run since: nobody checks, or nobody here has their action. */
  readonly overdue: RuleList
  /** Those of them that have never run at all. */
  readonly neverRan: RuleList
  /** Their last run failed. */
  readonly failing: RuleList
  /** Paused until they are enabled. */
  readonly paused: RuleList
}

const MAX_NAMES = 20
const MAX_READ = 1000

/**
 * Looks for rules that don't run as they should. Reads at most 1000 rules of each sort, all by ranges.
 *
 * @param store - where the rules are
 * @param now - the store's time, epoch ms
 * @param overdueAfter - how long after it was due a rule counts as overdue, ms
 */
export async function ruleHealth(store: TokenStore, now: number, overdueAfter: number): Promise<RuleHealth> {
  const due = await store.list(ruleKind, { index: 'due', to: now - overdueAfter + 1, limit: MAX_READ })
  const late = due.items.map(({ value }) => value)
  const overdue = listed(late)
  const neverRan = listed(late.filter((rule) => rule.lastRunAt === undefined))
  const [failing, paused] = await Promise.all([
    store.list(ruleKind, { index: 'trouble', in: 'failing', reverse: true, limit: MAX_READ }),
    store.list(ruleKind, { index: 'trouble', in: 'paused', reverse: true, limit: MAX_READ }),
  ])
  const lists = {
    failing: listed(failing.items.map((rule) => rule.value)),
    paused: listed(paused.items.map((rule) => rule.value)),
  }
  const reasons: string[] = []
  const tell = ({ count, rules }: RuleList, what: string): void => {
    if (count > 0)
      reasons.push(
        `${count} ${count === 1 ? 'rule' : 'rules'} ${what}: ${rules.slice(0, 3).join(', ')}${count > 3 ? ' …' : ''}`,
      )
  }
  tell(overdue, `overdue by more than ${formatDuration(overdueAfter)}`)
  tell(neverRan, 'never ran though due')
  tell(lists.failing, 'failing')
  tell(lists.paused, 'paused')
  const status = overdue.count + lists.paused.count > 0 ? 'unhealthy' : lists.failing.count > 0 ? 'degraded' : 'healthy'
  return { status, reasons, overdue, neverRan, ...lists }
}

function listed(rules: readonly RuleRecord[]): RuleList {
  return { count: rules.length, rules: rules.slice(0, MAX_NAMES).map(({ name }) => name) }
}
