import type { Action } from '../automation/action.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { HealReport } from './heal-report.ts'
import { wasAttempted } from './history.ts'
import type { CheckReport } from './report.ts'

/** What the actions need of a healer. */
export interface ActionHealer {
  /** Looks. */
  check(options: { readonly actor: string; readonly signal: AbortSignal }): Promise<CheckReport>
  /** Looks, and heals what is approved. */
  heal(options: { readonly actor: string; readonly signal: AbortSignal }): Promise<HealReport>
}

/** What a RuleEngine needs to have. */
export interface ActionRegistry {
  /** Registers an action. */
  action(name: string, handler: Action): void
}

/**
 * Registers the actions `cloudflare.check` and `cloudflare.heal`, so that rules can run them. They take no params, services or
 * conditions: what is looked after, and what is approved, is the healer's. `cloudflare.heal` only reports unless the healer has an
 * `approve` callback or `autoHeal`.
 *
 * @param rules - the rule engine, such as `tokens.rules`
 * @param healer - the healer
 * @example
 * ```ts sketch
 * registerCloudflareActions(tokens.rules, healer)
 * await tokens.rules.create({ name: 'cloudflare', action: 'cloudflare.heal', schedule: { cron: '0 *\/6 * * *' } })
 * ```
 */
export function registerCloudflareActions(rules: ActionRegistry, healer: ActionHealer): void {
  rules.action('cloudflare.check', {
    check: refuseStray,
    run: async ({ actor, signal }) => {
      const report = await healer.check({ actor, signal })
      return { counts: countsOf(report) }
    },
  })
  rules.action('cloudflare.heal', {
    check: refuseStray,
    run: async ({ actor, signal }) => {
      const report = await healer.heal({ actor, signal })
      const healed = report.changes.filter(({ outcome }) => outcome === 'healed').length
      const attempted = report.changes.filter(({ outcome }) => wasAttempted(outcome)).length
      return { counts: { ...countsOf(report), healed, failed: attempted - healed } }
    },
  })
}

function countsOf({ targets }: CheckReport): { [what: string]: number } {
  const count = (health: string): number => targets.filter((target) => target.health === health).length
  return {
    targets: targets.length,
    healthy: count('healthy'),
    degraded: count('degraded'),
    unhealthy: count('unhealthy'),
  }
}

const refuseStray: NonNullable<Action['check']> = ({ action, services, conditions, params }) => {
  const stray = Object.entries({ services, conditions, params }).find(([, value]) => value !== undefined)
  if (stray === undefined) return
  throw new InvalidInputError(
    stray[0],
    `can't go with '${action}'`,
    "the healer's own options say what is done: leave it out",
  )
}
