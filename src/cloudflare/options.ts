import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Random } from '../kernel/random.ts'
import { Secret } from '../kernel/secret.ts'
import { webRandom } from '../kernel/web-random.ts'
import type { ApproveCallback } from './approval.ts'
import { checkWithinCeiling } from './ceiling.ts'
import { type CloudflareClient, checkFunction, createCloudflareClient } from './client.ts'
import type { SharedCloudflareEvents } from './events.ts'
import type { GuardSettings } from './mark.ts'
import { memoryState } from './memory-state.ts'
import type { Notify } from './notify.ts'
import { type RequiredInput, type RequirementList, readRequirements } from './requirement.ts'
import { checkSensitive, readAllowed } from './sensitive.ts'
import type { HealerState } from './state.ts'
import { readTargets, type Target, type TargetInput } from './targets.ts'

/** What a {@link CloudflareTokenHealer} is made from. `client` or `healerToken`, and `targets`, have no default. */
export interface CloudflareTokenHealerOptions {
  /** Sends the requests, with the healer's own credential: from `fromCloudflare` or `createCloudflareClient`. */
  readonly client?: CloudflareClient | undefined
  /** Instead of `client`: the healer's own credential. It should hold the template `tokenAdministration` and nothing else. */
  readonly healerToken?: string | Secret | undefined
  /** With `healerToken`: where to. Default `https://api.cloudflare.com/client/v4`. */
  readonly baseURL?: string | undefined
  /** With `healerToken`: sends the requests. Default: the runtime's `fetch`. */
  readonly fetch?: typeof globalThis.fetch | undefined
  /** The tokens to look after; 1 to 1000. */
  readonly targets: readonly TargetInput[]
  /** What the targets need that don't say themselves: groups, templates, or lists by kind. */
  readonly required?: RequiredInput | undefined
  /** What tokens may ever be given. All that is required must be within it. Default: what is required. */
  readonly ceiling?: RequiredInput | undefined
  /** Sensitive permission groups that may be required, each by its exact name. Default: none. */
  readonly allowSensitive?: readonly string[] | undefined
  /** Decides on each plan before it is applied. */
  readonly approve?: ApproveCallback | undefined
  /** How long an approval is waited for. Default 5 m. */
  readonly approvalTimeout?: Duration | undefined
  /** Applies plans within the ceiling without being told to; needs `ceiling`. `approve`, if given, is asked too. Default false. */
  readonly autoHeal?: boolean | undefined
  /** Whether the healer may change its own credential. Default false: see the guide's warning. */
  readonly allowSelfEscalation?: boolean | undefined
  /** Which groups grant what others grant: `{ 'D1 Write': ['D1 Read'] }`. Default: none is taken to. */
  readonly implies?: { readonly [group: string]: readonly string[] } | undefined
  /** Whether a token that holds more than it needs is degraded. Default false: it is told all the same. */
  readonly strict?: boolean | undefined
  /** What is remembered between runs. Default: this process's memory. */
  readonly state?: HealerState | undefined
  /** How long a token isn't changed again. Default 1 h. */
  readonly cooldown?: Duration | undefined
  /** How often a token is changed within 24 hours at most. Default 3. */
  readonly maxHealsPerDay?: number | undefined
  /** How often a grant may be taken away before the token isn't changed any more. Default 2. */
  readonly circuitAfter?: number | undefined
  /** How many targets are looked at together; 1 to 32. Default 8. */
  readonly concurrency?: number | undefined
  /** How many requests one run may send. Default 1000: Cloudflare takes 1200 in 5 minutes. */
  readonly maxRequests?: number | undefined
  /** How long one request may take. Default 30 s. */
  readonly timeout?: Duration | undefined
  /** How often a read is repeated; a write never is. 0 to 5. Default 2. */
  readonly retries?: number | undefined
  /** How long the catalogue of permission groups is good for. Default 1 h. */
  readonly catalogueTtl?: Duration | undefined
  /** How long rows and snapshots are kept. Default 90 d. */
  readonly retention?: Duration | undefined
  /** Told of what somebody should look at: a function, or `notifyByWebhook`. */
  readonly notify?: Notify | undefined
  /** An emitter that gets the events too, by their prefixed names: `tokens.events`. */
  readonly events?: EventSink<SharedCloudflareEvents> | undefined
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Jitter and ids. Default: the runtime's. */
  readonly random?: Random | undefined
}

/** The options, checked and complete. */
export interface HealerSettings {
  readonly client: CloudflareClient
  readonly secrets: readonly Secret[]
  readonly targets: readonly Target[]
  readonly ceiling:
    | { readonly account: RequirementList | undefined; readonly user: RequirementList | undefined }
    | undefined
  readonly allowSensitive: ReadonlySet<string>
  readonly approve: ApproveCallback | undefined
  readonly approvalTimeoutMs: number
  readonly autoHeal: boolean
  readonly allowSelfEscalation: boolean
  readonly implies: { readonly [group: string]: readonly string[] }
  readonly strict: boolean
  readonly state: HealerState
  readonly guard: GuardSettings
  readonly concurrency: number
  readonly maxRequests: number
  readonly timeoutMs: number
  readonly retries: number
  readonly catalogueTtlMs: number
  readonly retentionMs: number
  readonly notify: Notify | undefined
  readonly events: EventSink<SharedCloudflareEvents> | undefined
  readonly clock: Clock
  readonly random: Random
}

const FIELDS: readonly string[] = [
  ...['client', 'healerToken', 'baseURL', 'fetch', 'targets', 'required', 'ceiling', 'allowSensitive', 'approve'],
  ...['approvalTimeout', 'autoHeal', 'allowSelfEscalation', 'implies', 'strict', 'state', 'cooldown', 'maxHealsPerDay'],
  ...[
    'circuitAfter',
    'concurrency',
    'maxRequests',
    'timeout',
    'retries',
    'catalogueTtl',
    'retention',
    'notify',
    'events',
  ],
  ...['clock', 'random'],
]

/**
 * Checks the options of a healer. Nothing is asked of Cloudflare.
 *
 * @throws InvalidInputError, OutsideCeilingError, SensitivePermissionError
 */
export function readOptions(options: CloudflareTokenHealerOptions): HealerSettings {
  checkFields('options', options, FIELDS)
  const { approve, notify, autoHeal = false, implies = {} } = options
  for (const [field, value] of Object.entries({ approve, notify })) checkFunction(field, value)
  if (options.events !== undefined && typeof (options.events as { emit?: unknown } | null)?.emit !== 'function') {
    throw new InvalidInputError('events', 'is no emitter', 'give tokens.events, or leave it out')
  }
  for (const field of ['autoHeal', 'allowSelfEscalation', 'strict'] as const) {
    const value: unknown = options[field]
    if (value !== undefined && typeof value !== 'boolean')
      throw new InvalidInputError(field, 'is not a boolean', 'write true or false')
  }
  const targets = readTargets(options.targets, options.required)
  const allowSensitive = readAllowed(options.allowSensitive)
  const ceiling = readCeiling(options, targets, allowSensitive)
  const clock = options.clock ?? systemClock()
  return {
    client: readClient(options),
    secrets: secretsOf(options, targets),
    targets,
    ceiling,
    allowSensitive,
    approve,
    approvalTimeoutMs: parseDuration('approvalTimeout', options.approvalTimeout ?? '5m', {
      min: 1000,
      max: 86_400_000,
    }),
    autoHeal,
    allowSelfEscalation: options.allowSelfEscalation ?? false,
    implies: readImplies(implies),
    strict: options.strict ?? false,
    state: readState(options.state),
    guard: {
      cooldownMs: parseDuration('cooldown', options.cooldown ?? '1h', { min: 1000, allowZero: true }),
      dailyCap: whole('maxHealsPerDay', options.maxHealsPerDay ?? 3, 1, 100),
      circuitAfter: whole('circuitAfter', options.circuitAfter ?? 2, 1, 100),
    },
    concurrency: whole('concurrency', options.concurrency ?? 8, 1, 32),
    maxRequests: whole('maxRequests', options.maxRequests ?? 1000, 1, 100_000),
    timeoutMs: parseDuration('timeout', options.timeout ?? '30s', { min: 1000, max: 300_000 }),
    retries: whole('retries', options.retries ?? 2, 0, 5),
    catalogueTtlMs: parseDuration('catalogueTtl', options.catalogueTtl ?? '1h', { min: 1000 }),
    retentionMs: parseDuration('retention', options.retention ?? '90d', { min: 86_400_000 }),
    notify,
    events: options.events,
    clock,
    random: options.random ?? webRandom(),
  }
}

/** Texts that no message may hold, whatever a server says back. */
function secretsOf({ healerToken }: CloudflareTokenHealerOptions, targets: readonly Target[]): Secret[] {
  const own = healerToken === undefined ? [] : [healerToken instanceof Secret ? healerToken : new Secret(healerToken)]
  return [...own, ...targets.flatMap(({ token }) => (token === undefined ? [] : [token]))]
}

function readClient({ client, healerToken, baseURL, fetch }: CloudflareTokenHealerOptions): CloudflareClient {
  if ((client === undefined) === (healerToken === undefined)) {
    throw new InvalidInputError('client', 'and healerToken: exactly one is needed', 'give one of them')
  }
  if (healerToken !== undefined) return createCloudflareClient({ token: healerToken, baseURL, fetch })
  if (typeof client?.send !== 'function') {
    throw new InvalidInputError(
      'client',
      'is not a CloudflareClient',
      'make one with fromCloudflare or createCloudflareClient',
    )
  }
  if (baseURL !== undefined || fetch !== undefined) {
    throw new InvalidInputError('baseURL', 'and fetch go with healerToken', 'set them on the client')
  }
  return client
}

function readCeiling(
  { ceiling: input, autoHeal }: CloudflareTokenHealerOptions,
  targets: readonly Target[],
  allowed: ReadonlySet<string>,
): HealerSettings['ceiling'] {
  if (input === undefined && autoHeal === true) {
    throw new InvalidInputError('ceiling', 'is missing', 'autoHeal needs a ceiling: it is what approves the plans')
  }
  const ceiling =
    input === undefined
      ? undefined
      : { account: readRequirements('ceiling', input, 'account'), user: readRequirements('ceiling', input, 'user') }
  for (const kind of ['account', 'user'] as const) {
    if (ceiling?.[kind] !== undefined) checkSensitive(ceiling[kind].list, allowed)
    for (const target of targets) {
      const list = target.required[kind]?.list
      if (list === undefined || (target.kind !== undefined && target.kind !== kind)) continue
      checkSensitive(list, allowed)
      if (ceiling !== undefined) checkWithinCeiling(list, ceiling[kind]?.list ?? [])
    }
  }
  return ceiling
}

function readImplies(implies: unknown): HealerSettings['implies'] {
  const wrong = (): InvalidInputError =>
    new InvalidInputError('implies', 'is no map of groups', "write { 'D1 Write': ['D1 Read'] }")
  if (typeof implies !== 'object' || implies === null || Array.isArray(implies)) throw wrong()
  for (const names of Object.values(implies)) {
    if (!Array.isArray(names) || !names.every((name) => typeof name === 'string')) throw wrong()
  }
  return implies as HealerSettings['implies']
}

const STATE: readonly (keyof HealerState)[] = [
  ...(['append', 'rows', 'prune', 'saveSnapshot', 'snapshot', 'mark', 'saveMark', 'lease', 'release'] as const),
]

function readState(state: HealerState | undefined): HealerState {
  if (state === undefined) return memoryState()
  if (STATE.some((method) => typeof state?.[method] !== 'function')) {
    throw new InvalidInputError('state', 'is no HealerState', 'make one with memoryState, storeState or d1State')
  }
  return state
}

function whole(field: string, value: unknown, min: number, max: number): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
  throw new InvalidInputError(field, `is not a whole number from ${min} to ${max}`, 'give such a number')
}
