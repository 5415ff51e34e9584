import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { HealReport } from './heal-report.ts'
import type { CheckReport } from './report.ts'

/** What a Worker's `scheduled()` is told of the cron that fired. */
export interface ScheduledController {
  /** When it was due, epoch ms. */
  readonly scheduledTime: number
  /** Its pattern. */
  readonly cron: string
}

/** What a scheduled run needs of a healer. */
export interface ScheduledHealer {
  /** Looks. */
  check(options: { readonly actor: string }): Promise<CheckReport>
  /** Looks, and heals what is approved. */
  heal(options: { readonly actor: string }): Promise<HealReport>
  /** Claims an instant for this run. @internal */
  claimSlot(slot: string): Promise<boolean>
}

/** How {@link createScheduledHandler} runs. */
export interface ScheduledOptions {
  /** What is done: `heal` (default; it only reports unless plans are approved) or `check`. */
  readonly action?: 'heal' | 'check' | undefined
}

/** A `scheduled()` of a Worker. */
export type ScheduledHandler<Env> = (controller: ScheduledController, env: Env, context?: unknown) => Promise<void>

/**
 * A Worker's `scheduled()`. Each instant is run once for its action: crons every six hours and every day meet at midnight, Cloudflare calls for
 * both, and the second finds the instant claimed in the healer's state. So that isolates share it, the state must be elsewhere:
 * `d1State`. A run that fails rejects, and Cloudflare shows the cron as failed.
 *
 * @param healer - a healer, or what makes one of the Worker's bindings
 * @param options - what is done
 * @example
 * ```ts sketch
 * export default {
 *   scheduled: createScheduledHandler((env: Env) => new CloudflareTokenHealer({
 *     healerToken: env.HEALER_TOKEN, targets: [...], required: [workersFullStack], state: d1State({ database: env.DB }),
 *   })),
 * }
 * ```
 */
export function createScheduledHandler<Env = unknown>(
  healer: ScheduledHealer | ((env: Env) => ScheduledHealer | Promise<ScheduledHealer>),
  options: ScheduledOptions = {},
): ScheduledHandler<Env> {
  const { action = 'heal' } = checkFields('options', options, ['action']) as ScheduledOptions
  if (action !== 'heal' && action !== 'check') {
    throw new InvalidInputError('action', "is neither 'heal' nor 'check'", 'write one of them')
  }
  return async ({ scheduledTime, cron }, env) => {
    const found = typeof healer === 'function' ? await healer(env) : healer
    // Crons have no finer grain than a minute.
    if (!(await found.claimSlot(`${action}:${Math.floor(scheduledTime / 60_000) * 60_000}`))) return
    await found[action]({ actor: `cron:${String(cron).slice(0, 100)}` })
  }
}
