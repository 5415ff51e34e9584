import type { Emitter } from './emitter.ts'
import { TokenwrightError } from './errors.ts'
import { Secret } from './secret.ts'

/** How loud a log line is. */
export type LogLevel = 'debug' | 'info' | 'warn' | 'error'

/**
 * A logger as {@link logTo} calls it: fields first, then the message. The console, pino and what follows them fit.
 */
export interface Logger {
  /** Fields, then the message. */
  debug(fields: object, message: string): unknown
  /** Fields, then the message. */
  info(fields: object, message: string): unknown
  /** Fields, then the message. */
  warn(fields: object, message: string): unknown
  /** Fields, then the message. */
  error(fields: object, message: string): unknown
}

/** What {@link logTo} leaves out. */
export interface LogToOptions {
  /** The lowest level that is logged. Default `info`. */
  readonly level?: LogLevel
}

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error']

/** Levels by the last part of an event's name, or that part's last word; every other event is `info`. */
const LEVEL_OF: { readonly [word: string]: LogLevel } = {
  error: 'error',
  failed: 'error',
  lost: 'error',
  poisoned: 'error',
  circuitOpened: 'error',
  approaching: 'warn',
  conflict: 'warn',
  degraded: 'warn',
  denied: 'warn',
  dropped: 'warn',
  expired: 'warn',
  expiring: 'warn',
  jumped: 'warn',
  mismatch: 'warn',
  renewable: 'warn',
  skewed: 'warn',
  soon: 'warn',
  stale: 'warn',
  stalled: 'warn',
  unavailable: 'warn',
  warning: 'warn',
  checked: 'debug',
  verified: 'debug',
}

/**
 * The level at which an event is logged, by the last word of its name: `error` for `rule.failed` or `listenerError`,
 * `warn` for `token.expiring` or `clock.jumped`, `debug` for what is merely checked, `info` for the rest.
 *
 * @param name - the event's name
 */
export function levelOf(name: string): LogLevel {
  const part = name.slice(name.lastIndexOf('.') + 1)
  const word = /[A-Z]?[a-z]+$/.exec(part.slice(-40))?.[0].toLowerCase() ?? ''
  for (const key of [part, word]) if (Object.hasOwn(LEVEL_OF, key)) return LEVEL_OF[key] as LogLevel
  return 'info'
}

/**
 * Logs every event of an emitter, one call each: `logger.info({ event, ...payload }, event)`. Pino prints the fields
 * beside its own; the console prints the fields as an object and the name after it.
 *
 * Texts under keys that name a secret (token, secret, password, authorization, cookie, key …; not ids, times and
 * previews) and {@link Secret} instances are printed as `[secret]`, bytes as their number. Long texts and lists are
 * cut.
 *
 * @param events - the emitter, such as `tokens.events`
 * @param logger - `console`, a pino logger, or anything with debug, info, warn and error
 * @param options - what to leave out
 * @returns the way to stop
 * @example
 * ```ts
 * const stop = logTo(tokens.events, console, { level: 'warn' })
 * ```
 */
export function logTo<Events extends object>(
  events: Pick<Emitter<Events>, 'onAny'>,
  logger: Logger,
  options: LogToOptions = {},
): () => void {
  const lowest = LEVELS.indexOf(options.level ?? 'info')
  return events.onAny((name, payload) => {
    const level = levelOf(name)
    if (LEVELS.indexOf(level) < lowest) return
    // The event's name last: a payload may have a field `event`, as listenerError has.
    const fields = redact(payload, 0)
    logger[level](typeof fields === 'object' && fields !== null ? { ...fields, event: name } : { event: name }, name)
  })
}

const MAX_DEPTH = 6
const MAX_ITEMS = 50
const MAX_TEXT = 2000

const SECRET_KEY = /token|secret|password|passphrase|authorization|cookie|credential|(?:api|private|signing|[_-])key$/i
/** What the names of harmless things about secrets end in. */
const HARMLESS_KEY =
  /(?:Id|Ids|At|Ms|Count|Names?|Types?|Kind|Preview|Accessor|Version|Hint|[_-](?:id|ids|at|ms|count|names?|types?|kind|preview|accessor|version|hint))$/

/** A copy that is fit for a log line. */
function redact(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.length > MAX_TEXT ? `${value.slice(0, MAX_TEXT)}…` : value
  if (typeof value === 'function' || typeof value === 'symbol') return `[${typeof value}]`
  if (typeof value === 'bigint') return String(value)
  if (typeof value !== 'object' || value === null) return value
  if (value instanceof Secret) return '[secret]'
  if (value instanceof Date) return value
  if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) return `[${value.byteLength} bytes]`
  if (depth === MAX_DEPTH) return '[…]'
  if (value instanceof Error) return errorFields(value, depth)
  if (Array.isArray(value)) {
    const items = value.slice(0, MAX_ITEMS).map((item) => redact(item, depth + 1))
    return value.length > MAX_ITEMS ? [...items, `… ${value.length - MAX_ITEMS} more`] : items
  }
  const fields: [string, unknown][] = []
  for (const key of Object.keys(value).slice(0, MAX_ITEMS)) {
    fields.push([key, field(key, (value as { readonly [key: string]: unknown })[key], depth)])
  }
  return Object.fromEntries(fields)
}

function field(key: string, value: unknown, depth: number): unknown {
  const secret = SECRET_KEY.test(key.slice(0, 100)) && !HARMLESS_KEY.test(key.slice(-20))
  if (!secret) return redact(value, depth + 1)
  if (typeof value === 'string') return '[secret]'
  // A list of names of secrets can't be told from a list of secrets.
  if (Array.isArray(value) && value.some((item) => typeof item === 'string')) return `[${value.length} secrets]`
  return redact(value, depth + 1)
}

function errorFields(error: Error, depth: number): object {
  if (error instanceof TokenwrightError) return error.toJSON()
  const { code } = error as { code?: unknown }
  return {
    name: error.name,
    message: redact(error.message, depth),
    ...(typeof code === 'string' || typeof code === 'number' ? { code } : {}),
  }
}
