import { Refusal } from './answer.ts'

const UNITS: { readonly [unit: string]: number } = { s: 1, m: 60, h: 3600, d: 86_400 }

/**
 * Seconds of a duration as requests give it: a number of seconds, or a text such as `90`, `10s`, `2h30m`. 0 for what is absent.
 */
export function secondsOf(value: unknown, onError: (message: string) => Refusal = plainError): number {
  if (value === undefined || value === null || value === '') return 0
  const text = String(value)
  if (/^-/.test(text)) throw onError(`cannot provide negative value '${text}'`)
  if (/^\d+$/.test(text)) return Number(text)
  if (/^\d+\.\d+$/.test(text)) throw onError(`time: missing unit in duration "${text}"`)
  if (!/^(?:\d+(?:\.\d+)?[smhd])+$/.test(text)) throw onError(`time: invalid duration "${text}"`)
  let seconds = 0
  for (const [, number, unit] of text.matchAll(/(\d+(?:\.\d+)?)([smhd])/g)) {
    seconds += Number(number) * (UNITS[unit as string] as number)
  }
  return Math.floor(seconds)
}

function plainError(message: string): Refusal {
  return new Refusal(400, [message])
}

/** The error of a field that is checked by its type. */
export function fieldError(field: string): (message: string) => Refusal {
  return (message) =>
    new Refusal(400, [`Field validation failed: error converting input for field "${field}": ${message}`])
}

/** A duration as warnings write it: `1h`, `12s`, `1h0m5s`. */
export function durationText(ms: number): string {
  const whole = Math.floor(ms / 1000)
  const [hours, minutes, seconds] = [Math.floor(whole / 3600), Math.floor((whole % 3600) / 60), whole % 60]
  if (seconds === 0 && minutes === 0 && hours > 0) return `${hours}h`
  if (seconds === 0 && hours === 0 && minutes > 0) return `${minutes}m`
  return `${hours > 0 ? `${hours}h` : ''}${hours > 0 || minutes > 0 ? `${minutes}m` : ''}${seconds}s`
}

/** What a lease is computed from, ms. */
export interface LeaseRule {
  readonly now: number
  /** When what it is for was made. */
  readonly issued: number
  /** What the request asks for; 0 = nothing. */
  readonly increment: number
  /** What the backend gives where nothing is asked for; 0 = the system's. */
  readonly backendTtl: number
  /** Given by each renewal, whatever is asked for; 0 = none. */
  readonly period: number
  /** The backend's maximum, and the explicit one; 0 = none. */
  readonly backendMax: number
  readonly explicitMax: number
}

/** The system's default and maximum: 768 h. */
export const SYSTEM_TTL = 768 * 3_600_000

/** What is granted, and what is warned of. The server's own arithmetic: its "now" is cut to seconds. */
export function grant(rule: LeaseRule): { readonly ttlMs: number; readonly warnings: readonly string[] } {
  const { issued, increment, backendTtl, period, explicitMax, backendMax } = rule
  const now = Math.floor(rule.now / 1000) * 1000
  const max = Math.min(...[SYSTEM_TTL, backendMax, explicitMax].filter((each) => each > 0))
  const warnings: string[] = []
  let ttlMs = increment > 0 ? increment : backendTtl > 0 ? backendTtl : SYSTEM_TTL
  if (period > 0) {
    ttlMs = Math.min(period, max)
    if (explicitMax === 0) return { ttlMs, warnings }
  }
  const left = issued + max - now
  if (left <= 0) throw new Refusal(500, ['past the max TTL, cannot renew'])
  if (ttlMs > left) {
    const [asked, effective] = [durationText(ttlMs), durationText(left)]
    warnings.push(`TTL of "${asked}" exceeded the effective max_ttl of "${effective}"; TTL value is capped accordingly`)
    ttlMs = left
  }
  return { ttlMs, warnings }
}
