import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { LEVELS, type Level } from '../tokens/policy.ts'
import { isScopeToken } from './challenge.ts'

/** A value, or a function of the request that gives it, now or later. What such a function throws is the host's error, never a pass. */
export type FromRequest<Req, T> = T | ((request: Req) => T | PromiseLike<T>)

/** Arguments of a tool by name. */
export interface ToolArguments {
  readonly [name: string]: unknown
}

/**
 * What a route asks of the token that comes with a request, and where the token may be found.
 *
 * @typeParam Req - the framework's request, which the functions get
 */
export interface AuthenticateOptions<Req> {
  /** Scopes that the call needs, all of them. Default: none. */
  readonly scopes?: readonly string[] | undefined
  /** The tool that the call uses. */
  readonly tool?: FromRequest<Req, string | undefined> | undefined
  /** The tool's arguments. */
  readonly args?:
    | ((request: Req) => ToolArguments | undefined | PromiseLike<ToolArguments | undefined>)
    | ToolArguments
    | undefined
  /** The lowest level that will do. Default: `read_only` for GET and HEAD, `standard` for the rest. */
  readonly level?: Level | undefined
  /** Units that the call takes from each limit and the quota, a whole number. Default 1. */
  readonly cost?: FromRequest<Req, number> | undefined
  /** The id of an approval for this very call. */
  readonly approval?: ((request: Req) => string | undefined | PromiseLike<string | undefined>) | undefined
  /** Who calls, as the host knows it, for the request log. */
  readonly caller?: FromRequest<Req, string | undefined> | undefined
  /** Which tokens will do, such as `['opaque']` where only those with a record are wanted. Default: both. */
  readonly accept?: readonly ('opaque' | 'signed')[] | undefined
  /** Whether a request without credentials passes, without a token. Bad credentials are refused all the same. Default false. */
  readonly optional?: boolean | undefined
  /** Whether a CORS preflight passes, without a token: browsers send it without credentials. Default true. */
  readonly preflight?: boolean | undefined
  /** Whether requests that didn't come over HTTPS, by the framework's own protocol, are refused before anything is looked up. Default false. */
  readonly requireHttps?: boolean | undefined
  /** The protection space named in challenges (RFC 9110, section 11.5). Default `api`. */
  readonly realm?: string | undefined
  /** Headers, besides `Authorization: Bearer`, that may hold the token. Default `['X-API-Key']`; an empty list allows none. */
  readonly headers?: readonly string[] | undefined
  /**
   * A query parameter that may hold the token when no header does. Default: none, because URLs end up in logs. The middlewares
   * strip it from the request's URL.
   */
  readonly query?: string | undefined
  /**
   * The client's address, where the framework's own (`req.ip`, `request.ip`) isn't the right one: behind a CDN whose header can't be
   * forged. Default: the framework's own, which believes X-Forwarded-For only as far as it was told to (`trust proxy`, `trustProxy`).
   */
  readonly trustedIp?: ((request: Req) => string | undefined) | undefined
}

type OptionName = keyof AuthenticateOptions<unknown>

const CHECKS: { readonly [name in OptionName]-?: (value: unknown) => string | undefined } = {
  scopes: (value) =>
    isListOf(value, isScopeToken)
      ? undefined
      : 'give a list of scopes, each visible ASCII without quotes and backslashes',
  tool: (value) =>
    typeof value === 'function' || isText(value) ? undefined : 'give a name or a function of the request',
  args: (value) =>
    typeof value === 'function' || isRecord(value) ? undefined : 'give an object or a function of the request',
  level: (value) => ((LEVELS as readonly unknown[]).includes(value) ? undefined : `give one of ${LEVELS.join(', ')}`),
  cost: (value) =>
    typeof value === 'function' || isUnits(value)
      ? undefined
      : 'give a whole number from 0 on, or a function of the request',
  approval: isFunction,
  caller: (value) =>
    typeof value === 'function' || isText(value) ? undefined : 'give a text or a function of the request',
  accept: (value) =>
    isListOf(value, (form) => form === 'opaque' || form === 'signed') && (value as readonly unknown[]).length > 0
      ? undefined
      : "give a list of 'opaque' and 'signed'",
  optional: isBoolean,
  preflight: isBoolean,
  requireHttps: isBoolean,
  realm: (value) =>
    typeof value === 'string' && /^[\x20-\x7e]{1,200}$/.test(value) ? undefined : 'give 1 to 200 characters of ASCII',
  headers: (value) =>
    isListOf(value, isApiKeyHeader)
      ? undefined
      : 'give a list of header names; Authorization is always read, and Cookie never',
  query: (value) =>
    typeof value === 'string' && /^[A-Za-z0-9_.-]{1,64}$/.test(value)
      ? undefined
      : 'give 1 to 64 letters, digits, dots, hyphens or underscores',
  trustedIp: isFunction,
}

/**
 * Checks options by hand, at once, so that a mistake shows when the application starts.
 *
 * @param given - what the host wrote
 * @param others - names that the caller itself knows
 * @throws InvalidInputError for a value that can't be used and for a name that isn't an option
 */
export function checkOptions(given: unknown, others: readonly string[]): void {
  const options = checkFields('options', given, [...Object.keys(CHECKS), ...others])
  for (const name of Object.keys(CHECKS) as OptionName[]) {
    const help = options[name] === undefined ? undefined : CHECKS[name](options[name])
    if (help !== undefined) throw new InvalidInputError(name, "can't be used as it is", help)
  }
}

function isListOf(value: unknown, check: (one: string) => boolean): boolean {
  return Array.isArray(value) && value.length <= 100 && value.every((one) => typeof one === 'string' && check(one))
}

function isApiKeyHeader(name: string): boolean {
  const lower = name.toLowerCase()
  return /^[a-z0-9-]{1,64}$/.test(lower) && lower !== 'authorization' && lower !== 'cookie' && lower !== 'set-cookie'
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== ''
}

function isUnits(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}

function isBoolean(value: unknown): string | undefined {
  return typeof value === 'boolean' ? undefined : 'give true or false'
}

function isFunction(value: unknown): string | undefined {
  return typeof value === 'function' ? undefined : 'give a function of the request'
}

function isRecord(value: unknown): value is { readonly [name: string]: unknown } {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
