import type * as Zod from 'zod'
import { checkJson, type JsonObject } from '../kernel/bytes.ts'
import { type Duration, type Instant, parseDuration, parseInstant } from '../kernel/duration.ts'
import { abbreviated, InvalidInputError } from '../kernel/errors.ts'
import type { Attribution } from '../stores/commit.ts'
import { checkName } from '../tokens/about.ts'
import { shortestGap } from './due.ts'
import type { Conditions, RuleRecord } from './rule.ts'
import { parseSchedule, type ScheduleInput } from './schedule.ts'

/** Which tokens a rule takes, as a host writes it. */
export interface ConditionsInput {
  /** The current version is at least so old, days of 24 h; fractions are allowed. */
  readonly ageDays?: number | undefined
  /** The current version was used at least so often. */
  readonly usageCount?: number | undefined
  /** Whether both must hold (default), or one. */
  readonly match?: 'all' | 'any' | undefined
}

/** A rule, as a host writes it. Only `name` and `schedule` have no default; most actions need `service` or `services` too. */
export interface RuleInput extends Attribution {
  /** At most 128 characters; unique, never changed. */
  readonly name: string
  /** `rotate` (default), `generate`, `bulk_rotate`, `backup`, `cleanup`, or a registered one. */
  readonly action?: string | undefined
  /** The token that it is about. */
  readonly service?: string | undefined
  /** The tokens that it is about, at most 1000. `bulk_rotate` without takes all live ones, with an empty list none. */
  readonly services?: readonly string[] | undefined
  /** When it is due. */
  readonly schedule: ScheduleInput
  /** Which of the tokens it takes. Default: all. */
  readonly conditions?: ConditionsInput | null | undefined
  /** The first slot of an interval, or the instant before which there are none. Default: one period from now. */
  readonly startAt?: Instant | null | undefined
  /** What becomes of missed slots: `one` run for all of them (default), or `none`. */
  readonly catchUp?: 'one' | 'none' | undefined
  /** How late a slot may begin. Default: however late with `one`, a minute with `none`. */
  readonly catchUpWindow?: Duration | null | undefined
  /** What becomes of a slot whose rule still runs: it is skipped (`skip`, default), or one is kept until then (`queue`). */
  readonly overlap?: 'skip' | 'queue' | undefined
  /** Begin up to so long after the slot: each rule and slot at a time of its own, the same on every instance. Default 0. */
  readonly jitter?: Duration | null | undefined
  /** How often a run is tried before it has failed, 1 to 20. Default 3. */
  readonly attempts?: number | undefined
  /** How long one attempt may take. Default 1 h. */
  readonly maxDuration?: Duration | undefined
  /** So many failed runs in a row pause the rule; 0 = never. Default 5. */
  readonly pauseAfter?: number | undefined
  /** Whether it runs by itself. Default true; {@link RuleEngine.put} leaves it as it is. */
  readonly enabled?: boolean | undefined
  /** What the action is given: a JSON object of at most 16 kB. */
  readonly params?: JsonObject | null | undefined
}

/** What may be changed of a rule. An absent field keeps what is there, `null` clears it. */
export type RuleUpdate = Partial<Omit<RuleInput, 'name'>>

/** What a rule says, checked, with its defaults. */
export type RuleSpec = Omit<
  RuleRecord,
  | 'id'
  | 'createdAt'
  | 'updatedAt'
  | 'anchor'
  | 'begunAt'
  | 'nextSlot'
  | 'nextDueAt'
  | 'lastSlot'
  | 'lastRunAt'
  | 'runs'
  | 'failures'
  | 'paused'
>

/** The fields of a rule that a host writes. */
export const RULE_FIELDS = [
  'name',
  'action',
  'services',
  'schedule',
  'conditions',
  'startAt',
  'catchUp',
  'catchUpWindow',
  'overlap',
  'jitter',
  'attempts',
  'maxDuration',
  'pauseAfter',
  'enabled',
  'params',
] as const satisfies readonly (keyof RuleSpec)[]

/** The fields that name tokens. */
const SELECTORS: readonly string[] = ['service', 'services']
const MAX_SERVICES = 1000
/** A timer holds no more than 24.8 days. */
const MAX_DURATION = 24 * 86_400_000
const MAX_JITTER = 86_400_000

type Shapes = ReturnType<typeof shapesOf>
let shapes: Promise<Shapes> | undefined

/** zod takes as long to load as the rest of the package: it is loaded with the first rule. */
function loadShapes(): Promise<Shapes> {
  shapes ??= import('zod').then(shapesOf)
  return shapes
}

/** The shapes of what a host writes. What the values say (durations, patterns, names) is checked by the functions that know. */
function shapesOf(z: typeof Zod) {
  const duration: Zod.ZodType<Duration> = z.custom<Duration>(
    (value) => typeof value === 'string' || typeof value === 'number',
    'must be a duration such as "12h", or milliseconds',
  )
  const count = (min: number, max: number) =>
    z.int(`must be a whole number from ${min} to ${max}`).min(min).max(max).optional()
  const conditions = z.strictObject({
    ageDays: z.number().min(0).max(36_525).optional(),
    usageCount: count(1, Number.MAX_SAFE_INTEGER),
    match: z.enum(['all', 'any']).optional(),
  })
  const rule = z.strictObject({
    name: z.string(),
    action: z.string().optional(),
    service: z.string().optional(),
    services: z.array(z.string()).max(MAX_SERVICES).optional(),
    schedule: z.unknown().optional(),
    conditions: conditions.nullish(),
    startAt: z.union([z.string(), z.number(), z.date()], 'must be a Date, epoch ms or an ISO text').nullish(),
    catchUp: z.enum(['one', 'none']).optional(),
    catchUpWindow: duration.nullish(),
    overlap: z.enum(['skip', 'queue']).optional(),
    jitter: duration.nullish(),
    attempts: count(1, 20),
    maxDuration: duration.optional(),
    pauseAfter: count(0, 1000),
    enabled: z.boolean().optional(),
    params: z.unknown().optional(),
  })
  const every = z.strictObject({ every: duration })
  const cron = z.strictObject({ cron: z.string(), timezone: z.string().optional() })
  const calendar = z.strictObject({
    calendar: z.literal('month'),
    day: z.number(),
    at: z.string().optional(),
    timezone: z.string().optional(),
  })
  return { rule, every, cron, calendar, span: z.enum(['daily', 'weekly', 'monthly']) }
}

/**
 * Checks a rule as a host writes it.
 *
 * @param input - the rule, without actor and reason
 * @param now - as of when, epoch ms
 * @throws InvalidInputError naming the field
 */
export async function parseRule(input: unknown, now: number): Promise<RuleSpec> {
  const known = await loadShapes()
  refuseUndefinedSelector(input)
  const given = parsed('rule', known.rule, input)
  const written = parsed('schedule', scheduleShape(known, given.schedule), given.schedule)
  const schedule = parseSchedule('schedule', written, now)
  const optional = parseOptional(given, now)
  const spec: RuleSpec = {
    name: checkName('name', given.name, 128),
    action: checkName('action', given.action ?? 'rotate', 64),
    schedule,
    catchUp: given.catchUp ?? 'one',
    overlap: given.overlap ?? 'skip',
    attempts: given.attempts ?? 3,
    maxDuration: parseDuration('maxDuration', given.maxDuration ?? '1h', { min: 1000, max: MAX_DURATION }),
    pauseAfter: given.pauseAfter ?? 5,
    enabled: given.enabled ?? true,
    ...optional,
  }
  checkSelector(spec)
  checkJitter(spec)
  return spec
}

/** A stored rule as its host would write it, with some changes, to be checked anew. */
export function changedInput(rule: RuleRecord, changes: RuleUpdate): { [field: string]: unknown } {
  const input: { [field: string]: unknown } = {}
  for (const field of RULE_FIELDS) if (rule[field] !== undefined) input[field] = rule[field]
  const selects = SELECTORS.some((field) => field in changes)
  // Whichever of the two names the tokens now, the other doesn't.
  if (selects) delete input['services']
  for (const [field, value] of Object.entries(changes)) {
    // What is undefined is as good as absent, but for the tokens: those would be all.
    if (value !== undefined || SELECTORS.includes(field)) input[field] = value
  }
  return input
}

function scheduleShape(known: Shapes, schedule: unknown): Zod.ZodType<ScheduleInput> {
  if (typeof schedule !== 'object' || schedule === null) return known.span
  if ('cron' in schedule) return known.cron
  return 'calendar' in schedule ? known.calendar : known.every
}

function parseOptional(given: Zod.infer<Shapes['rule']>, now: number) {
  const { conditions, startAt, catchUpWindow, jitter, params } = given
  const services = given.service === undefined ? given.services : [given.service]
  if (given.service !== undefined && given.services !== undefined) {
    throw new InvalidInputError('services', "can't go with service", 'name the tokens in one of them')
  }
  const taken = conditions ? parseConditions(conditions) : undefined
  const spread =
    jitter !== undefined && jitter !== null ? parseDuration('jitter', jitter, { allowZero: true, max: MAX_JITTER }) : 0
  const window = catchUpWindow ?? undefined
  return {
    ...(services && { services: checkServices(services) }),
    ...(taken && { conditions: taken }),
    ...(startAt !== undefined && startAt !== null && { startAt: parseStart(startAt, now) }),
    ...(window !== undefined && { catchUpWindow: parseDuration('catchUpWindow', window, { min: 1000 }) }),
    ...(spread > 0 && { jitter: spread }),
    ...(params !== undefined && params !== null && { params: checkJson('params', params) }),
  }
}

function parseConditions(given: {
  ageDays?: number | undefined
  usageCount?: number | undefined
  match?: 'all' | 'any' | undefined
}): Conditions {
  const { ageDays, usageCount, match = 'all' } = given
  if (ageDays === undefined && usageCount === undefined) {
    // A number that went missing, mostly, and not a wish for all tokens.
    throw new InvalidInputError('conditions', 'name neither ageDays nor usageCount', 'leave it out to take all tokens')
  }
  return { ...(ageDays !== undefined && { ageDays }), ...(usageCount !== undefined && { usageCount }), match }
}

function checkServices(services: readonly string[]): readonly string[] {
  for (const [i, service] of services.entries()) checkName(`services[${i}]`, service, 128)
  return [...new Set(services)]
}

/** Intervals are walked by arithmetic; a start long ago would be fine for them, and isn't for a message that should tell of a mistake. */
function parseStart(startAt: Instant, now: number): number {
  const at = parseInstant('startAt', startAt)
  if (Math.abs(at - now) > 36_525 * 86_400_000) {
    throw new InvalidInputError('startAt', 'is more than 100 years away', 'numbers are epoch milliseconds')
  }
  return at
}

/** `{ services: undefined }` is mostly a list that went missing, not a wish for all tokens. */
function refuseUndefinedSelector(input: unknown): void {
  if (typeof input !== 'object' || input === null) return
  for (const field of SELECTORS) {
    if (field in input && (input as { [field: string]: unknown })[field] === undefined) {
      throw new InvalidInputError(field, 'is there and undefined', 'name the tokens, or leave the field out')
    }
  }
}

function checkSelector({ action, services }: RuleSpec): void {
  if ((action === 'rotate' || action === 'generate') && (services === undefined || services.length === 0)) {
    throw new InvalidInputError(
      'service',
      `is missing: a rule that does '${action}' names its tokens`,
      'name one, or several in services',
    )
  }
}

/** Otherwise slots would overtake one another. */
function checkJitter({ schedule, jitter }: RuleSpec): void {
  if (jitter === undefined) return
  const gap = shortestGap(schedule)
  if (gap !== undefined && jitter >= gap) {
    throw new InvalidInputError(
      'jitter',
      'is not shorter than the time between two slots',
      'make it a part of that time',
    )
  }
}

function parsed<T>(root: string, shape: Zod.ZodType<T>, value: unknown): T {
  const result = shape.safeParse(value)
  if (result.success) return result.data
  const [issue] = result.error.issues
  throw refusal(root, issue)
}

function refusal(root: string, issue: Zod.core.$ZodIssue | undefined): InvalidInputError {
  const path = (issue?.path ?? []).map((part) => (typeof part === 'number' ? `[${part}]` : `.${String(part)}`)).join('')
  const inRoot = root === 'rule' ? path.replace(/^\./, '') : `${root}${path}`
  const field = inRoot === '' ? root : inRoot
  if (issue?.code === 'unrecognized_keys') {
    const stray = issue.keys.map((key) => `'${abbreviated(key)}'`).join(', ')
    return new InvalidInputError(field, `has an unknown field ${stray}`, 'see docs/rules.md for the fields of a rule')
  }
  // What zod says of a value names types and choices, never the value.
  const why = (issue?.message ?? 'is not what it should be').replace(/^Invalid \w+: /, '')
  return new InvalidInputError(field, `can't be used: ${why}`, 'see docs/rules.md for the fields of a rule')
}
