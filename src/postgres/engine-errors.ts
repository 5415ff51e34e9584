import { TokenwrightError } from '../kernel/errors.ts'
import { StoreBusyError, StoreError, StoreUnavailableError } from '../stores/errors.ts'

/** An error of the server has a SQLSTATE; those of Node (EPIPE) have the same form and begin with E, which no class does. */
const SQLSTATE = /^[0-9A-DF-Z][0-9A-Z]{4}$/

/** The SQLSTATE of an error that the server sent; undefined for any other. */
export function sqlState(error: unknown): string | undefined {
  const code = codeIn(error)
  return code !== undefined && SQLSTATE.test(code) ? code : undefined
}

function codeIn(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null ? (error as { code?: unknown }).code : undefined
  return typeof code === 'string' ? code : undefined
}

/** What the server said beside the message. */
export function detailOf(error: unknown): string {
  const detail = typeof error === 'object' && error !== null ? (error as { detail?: unknown }).detail : undefined
  return typeof detail === 'string' ? detail : ''
}

/** Whether the server undid the transaction for the sake of another: doing it again helps. */
export function isLostRace(error: unknown): boolean {
  const state = sqlState(error)
  // serialization_failure, deadlock_detected
  return state === '40001' || state === '40P01'
}

/**
 * Whether the connection is gone, so that nobody knows what became of the statement: the server ends it (57P01 to
 * 57P05, class 08), or there was no word from it at all.
 */
export function isBroken(error: unknown): boolean {
  if (error instanceof TokenwrightError) return false
  const state = sqlState(error)
  return state === undefined || state.startsWith('57P') || state.startsWith('08')
}

/** Whether the store's tables or functions aren't there. */
export function isMissing(error: unknown): boolean {
  const state = sqlState(error)
  // undefined_table, undefined_function, invalid_schema_name
  return state === '42P01' || state === '42883' || state === '3F000'
}

/** Errors that are there until somebody changes the set-up, with what to do about them. */
const SET_UP: { readonly [state: string]: string } = {
  '28000': 'the server refuses this user',
  '28P01': 'the server refuses this user',
  '3D000': 'there is no such database',
  '42501': 'this user lacks a right; docs/postgres.md lists what it needs',
}

/**
 * An error of the driver or the server as the error that the store throws; ours as they are. Messages of the server
 * are not repeated: they may name users, hosts and keys.
 *
 * @param store - how messages call the store
 * @param doing - what was tried, such as `read`
 */
export function storeErrorOf(error: unknown, store: string, doing: string): Error {
  if (error instanceof TokenwrightError) return error
  const state = sqlState(error)
  if (state === undefined) {
    return new StoreUnavailableError(`can't ${doing} ${store}: the server doesn't answer`, codeIn(error))
  }
  const setUp = SET_UP[state]
  if (setUp !== undefined) return new StoreUnavailableError(`can't ${doing} ${store}: ${setUp}`, state, false)
  if (isMissing(error)) return notMigrated(store, state)
  if (isLostRace(error) || state === '55P03') return new StoreBusyError(store, 0)
  if (state === '53100') {
    return new StoreError('ERR_STORE_FULL', `the disk of the server that holds ${store} is full; nothing was written`, {
      help: 'make room; the store works again as soon as there is some',
      retryable: true,
    })
  }
  if (state === '25006') {
    return new StoreError('ERR_STORE_READ_ONLY', `${store} can't be written: the server or the session is read-only`, {
      help: 'connect to the primary',
    })
  }
  // Class 53: no more connections or memory. 57014: cancelled, mostly by a statement_timeout of the host's.
  const retryable = isBroken(error) || state.startsWith('53') || state === '57014'
  return new StoreUnavailableError(`can't ${doing} ${store}`, state, retryable)
}

/** The error for a store whose tables aren't there. */
export function notMigrated(store: string, state?: string): StoreError {
  const code = state === undefined ? '' : ` (${state})`
  return new StoreError('ERR_STORE_NOT_MIGRATED', `${store} has no tables, or not all that this version needs${code}`, {
    help: 'call migrate() once before anything else, as a user who may create them',
  })
}

/** The error for a store that a newer version of this library has changed. */
export function newerSchema(store: string, what: string, found: number, known: number): StoreError {
  return new StoreError(
    'ERR_STORE_NEWER_SCHEMA',
    `${store} was changed by a newer version: ${what} is ${found}, known here is ${known}`,
    { help: 'update tokenwright; nothing was changed' },
  )
}
