import { type Clock, systemClock } from '../kernel/clock.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { type Random, systemRandom } from '../kernel/random.ts'
import type { VaultRequestError } from './errors.ts'
import type { VaultEvents } from './events.ts'
import { checkLogin, type VaultLogin } from './login.ts'
import { fromNodeVault } from './node-vault-client.ts'
import { type CheckedSink, checkSinks, type VaultSink } from './sink.ts'
import { isToken } from './token-facts.ts'
import { checkClient, type VaultClient } from './vault-client.ts'

/** How a {@link VaultTokenManager} keeps a token. */
export interface VaultTokenManagerOptions {
  /** An instance of node-vault, or what `createVaultClient` made, with the token to keep. It may lack one where there is a login. */
  readonly client: VaultClient
  /** The longest sleep: after it, clocks and deadlines are looked at again, without any request. At least 1 s. Default 5 min. */
  readonly checkInterval?: Duration | undefined
  /** The token is renewed when less than this is left, at most a third of its lease. At least 1 s. Default: when 70 to 73 % of the lease have passed. */
  readonly renewThreshold?: Duration | undefined
  /** What a renewal asks for, counted from the renewal. At least 1 s. Default: the lease that the token was made with. */
  readonly increment?: Duration | undefined
  /** Lets renewals leave the token with less time than it has. Default false. */
  readonly allowShorten?: boolean | undefined
  /** Gets a new token when renewing does no good any more. */
  readonly login?: VaultLogin | VaultLogin['login'] | undefined
  /** What is handed each token, the first one too. */
  readonly sinks?: readonly VaultSink[] | undefined
  /** How long a replaced token is left to requests under way before it is revoked, if one of our logins made it, and didn't only name it. `false`: it is left to its end. Default 30 s. */
  readonly revokeOld?: Duration | false | undefined
  /** `expiringSoon` is told when less than this is left, or a tenth of the lease where that is less. Default 24 h. */
  readonly warnBelow?: Duration | undefined
  /** How long one request, or one call of a sink, may take. Default 10 s. */
  readonly timeout?: Duration | undefined
  /** How long a login may take, all its requests together. Default 30 s. */
  readonly loginTimeout?: Duration | undefined
  /** How long `start()` tries while the server can't be reached. Default 30 s; 0 = once. */
  readonly startTimeout?: Duration | undefined
  /** Whether it sets timers. Without, the host calls `tick()`. Default true. */
  readonly timers?: boolean | undefined
  /** Whether its timer keeps the process alive. Default false. */
  readonly keepAlive?: boolean | undefined
  /** What metrics call it. Default `default`. */
  readonly name?: string | undefined
  /** Called after each renewal and login, with what the token has now, ms. */
  readonly onRenewal?: ((ttlMs: number) => unknown) | undefined
  /** Called after each failed renewal and login. */
  readonly onFailure?: ((error: VaultRequestError) => unknown) | undefined
  /** Gets every event too, as `vault.renewed` and so on; mostly `tokens.events`. */
  readonly events?: EventSink<VaultEvents> | undefined
  /** Default: the system's. */
  readonly clock?: Clock | undefined
  /** Where jitter comes from. Default: the system's. */
  readonly random?: Random | undefined
}

/** Options, checked, with defaults. */
export interface ManagerSettings {
  readonly client: VaultClient
  readonly checkIntervalMs: number
  readonly thresholdMs: number | undefined
  readonly incrementMs: number | undefined
  readonly allowShorten: boolean
  readonly login: VaultLogin | undefined
  readonly sinks: readonly CheckedSink[]
  readonly drainMs: number | undefined
  readonly warnBelowMs: number
  readonly timeoutMs: number
  readonly loginTimeoutMs: number
  readonly startTimeoutMs: number
  readonly timers: boolean
  readonly keepAlive: boolean
  readonly name: string
  readonly onRenewal: ((ttlMs: number) => unknown) | undefined
  readonly onFailure: ((error: VaultRequestError) => unknown) | undefined
  readonly events: EventSink<VaultEvents> | undefined
  readonly clock: Clock
  readonly random: Random
}

const OPTIONS = [
  'client',
  'checkInterval',
  'renewThreshold',
  'increment',
  'allowShorten',
  'login',
  'sinks',
  'revokeOld',
  'warnBelow',
  'timeout',
  'loginTimeout',
  'startTimeout',
  'timers',
  'keepAlive',
  'name',
  'onRenewal',
  'onFailure',
  'events',
  'clock',
  'random',
]

/** Shorter ones are mostly seconds that were meant. */
const LEAST = { min: 1000 }

/**
 * Checks options.
 *
 * @throws InvalidInputError naming the option that can't be used
 */
export function checkManagerOptions(options: VaultTokenManagerOptions): ManagerSettings {
  checkFields('options', options, OPTIONS)
  const client = fromNodeVault(checkClient(options.client))
  const login = checkLogin(options.login)
  checkFirstToken(client.token, login)
  const optional = (field: string, value: Duration | undefined): number | undefined =>
    value === undefined ? undefined : parseDuration(field, value, LEAST)
  const { revokeOld = '30s', name = 'default', onRenewal, onFailure } = options
  if (typeof name !== 'string' || name === '' || name.length > 100) {
    throw new InvalidInputError('name', 'is not a name of 1 to 100 characters', "leave it out for 'default'")
  }
  for (const [field, callback] of Object.entries({ onRenewal, onFailure })) {
    if (callback !== undefined && typeof callback !== 'function') {
      throw new InvalidInputError(field, 'is not a function', 'give a function, or leave it out')
    }
  }
  const { events } = options
  if (events !== undefined && (typeof events?.emit !== 'function' || typeof events.listenerFailed !== 'function')) {
    throw new InvalidInputError('events', 'is no emitter', 'give tokens.events, or an Emitter')
  }
  return {
    client,
    checkIntervalMs: parseDuration('checkInterval', options.checkInterval ?? '5m', LEAST),
    thresholdMs: optional('renewThreshold', options.renewThreshold),
    incrementMs: optional('increment', options.increment),
    allowShorten: options.allowShorten === true,
    login,
    sinks: checkSinks(options.sinks),
    drainMs:
      revokeOld === false ? undefined : parseDuration('revokeOld', revokeOld, { allowZero: true, max: 86_400_000 }),
    warnBelowMs: parseDuration('warnBelow', options.warnBelow ?? '24h', { allowZero: true }),
    timeoutMs: parseDuration('timeout', options.timeout ?? '10s', { min: 1, max: 600_000 }),
    loginTimeoutMs: parseDuration('loginTimeout', options.loginTimeout ?? '30s', { min: 1, max: 600_000 }),
    startTimeoutMs: parseDuration('startTimeout', options.startTimeout ?? '30s', { allowZero: true, max: 86_400_000 }),
    timers: options.timers !== false,
    keepAlive: options.keepAlive === true,
    name,
    onRenewal,
    onFailure,
    events,
    clock: options.clock ?? systemClock(),
    random: options.random ?? systemRandom(),
  }
}

function checkFirstToken(token: unknown, login: VaultLogin | undefined): void {
  if (token === undefined || token === null || token === '') {
    if (login !== undefined) return
    throw new InvalidInputError('client.token', 'is empty', 'give the client a token, or the manager a login')
  }
  if (typeof token === 'string' && isToken(token)) return
  throw new InvalidInputError('client.token', 'is not a token of printable characters', 'look for white space in it')
}
