import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { HookRegistry, type RotationHooks } from './hooks.ts'

/** How rotations go about it. */
export interface RotationSettings {
  /**
   * What is done when a token gets a new version, by service; `*` for all. Registered here, so that another process can
   * carry on a rotation after a crash.
   */
  readonly hooks?: { readonly [service: string]: RotationHooks } | undefined
  /** How long one call of a hook may take. Default 30 s. */
  readonly hookTimeout?: Duration | undefined
  /** How often a step is tried while its answer is unknown: at once, then after 1 s, 2 s, 4 s … Default 5. */
  readonly attempts?: number | undefined
  /** How often another value is drawn when one is rejected. Default 3. */
  readonly regenerations?: number | undefined
  /** How long a pending version verifies unless it becomes current. Default 24 h. */
  readonly pendingFor?: Duration | undefined
  /** Without use for this long, older versions count as out of use. Default 10 min; at least three usage flushes. */
  readonly quiet?: Duration | undefined
  /** Whether older versions end as soon as they are out of use. Default false. */
  readonly retireWhenQuiet?: boolean | undefined
  /** How long ended rotations stay in `history`; that of a token's current version stays longer. Default 400 d. */
  readonly history?: Duration | undefined
}

const FIELDS: readonly string[] = [
  'hooks',
  'hookTimeout',
  'attempts',
  'regenerations',
  'pendingFor',
  'quiet',
  'retireWhenQuiet',
  'history',
]

/** The settings, checked and complete. All in ms. */
export interface CheckedSettings {
  readonly hooks: HookRegistry
  readonly hookTimeout: number
  readonly attempts: number
  readonly regenerations: number
  readonly pendingFor: number
  readonly quiet: number
  readonly retireWhenQuiet: boolean
  readonly history: number
}

/**
 * Checks settings and fills in their defaults.
 *
 * @throws InvalidInputError for one that can't be used
 */
export function checkSettings(settings: RotationSettings = {}): CheckedSettings {
  checkFields('rotation', settings, FIELDS)
  return {
    hooks: new HookRegistry(settings.hooks),
    hookTimeout: parseDuration('rotation.hookTimeout', settings.hookTimeout ?? '30s', { max: 3_600_000 }),
    attempts: checkCount('rotation.attempts', settings.attempts ?? 5, 1),
    regenerations: checkCount('rotation.regenerations', settings.regenerations ?? 3, 0),
    pendingFor: parseDuration('rotation.pendingFor', settings.pendingFor ?? '24h', { min: 1000 }),
    quiet: parseDuration('rotation.quiet', settings.quiet ?? '10m', { min: 1000 }),
    retireWhenQuiet: settings.retireWhenQuiet === true,
    history: parseDuration('rotation.history', settings.history ?? '400d'),
  }
}

function checkCount(field: string, value: number, least: number): number {
  if (Number.isInteger(value) && value >= least && value <= 100) return value
  throw new InvalidInputError(field, `must be a whole number from ${least} to 100`, 'leave it out for the default')
}
