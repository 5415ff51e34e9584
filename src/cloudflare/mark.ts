import { type Grant, grantKey } from './grant.ts'
import { THIS_USER, userIdIn } from './resources.ts'

/** A grant that the healer gave, and what became of it. */
export interface GivenGrant {
  /** The group's name. */
  readonly name: string
  /** When it was given last, epoch ms. */
  readonly at: number
  /** Whether the last check found it. */
  readonly held: boolean
  /** How often it was found to be gone. */
  readonly removed: number
}

/** What is remembered of a token between runs. JSON. */
export interface TargetMark {
  /** When it was changed, epoch ms: the last time, and those within the day before it. */
  readonly changes: readonly number[]
  /** By group and resource. */
  readonly given: { readonly [grant: string]: GivenGrant }
  /** When the circuit opened, epoch ms; absent = closed. */
  readonly circuitAt?: number
  /** The fields beside its policies, as the last check found them. */
  readonly seen?: { readonly [field: string]: string }
  /** The expiry of which was told, and the fewest days told. */
  readonly told?: { readonly expiresAt: number; readonly days: number }
  /** How it was at the last check. */
  readonly health?: string
}

/** What keeps a healer from thrashing. */
export interface GuardSettings {
  /** How long a token isn't changed again, ms. */
  readonly cooldownMs: number
  /** How many times a day at most. */
  readonly dailyCap: number
  /** How often a grant may be taken away before the circuit opens. */
  readonly circuitAfter: number
}

/** Nothing is remembered. */
export const NO_MARK: TargetMark = Object.freeze({ changes: [], given: {} })

const DAY = 86_400_000
const MAX_GIVEN = 500

/** Why a token isn't changed now; `undefined` = it may be. */
export function holdOf(
  { changes, circuitAt }: TargetMark,
  now: number,
  { cooldownMs, dailyCap }: GuardSettings,
): { readonly reason: 'circuit' | 'cooldown' | 'daily_cap'; readonly until?: number } | undefined {
  if (circuitAt !== undefined) return { reason: 'circuit' }
  const last = Math.max(...changes)
  if (changes.length > 0 && now < last + cooldownMs) return { reason: 'cooldown', until: last + cooldownMs }
  const today = changes.filter((at) => at > now - DAY)
  if (today.length >= dailyCap) return { reason: 'daily_cap', until: Math.min(...today) + DAY }
  return undefined
}

/**
 * By what a grant is remembered. Who a user's token belongs to is known by what it holds alone: of one that lost it, it isn't, and its
 * own user is its own user all the same.
 */
export function rememberedAs({ group, resource }: Pick<Grant, 'group' | 'resource'>): string {
  return grantKey({ group, resource: userIdIn([resource]) === undefined ? resource : THIS_USER })
}

/**
 * What a check found of the grants that were given: each that is gone is counted once, until it is given again.
 *
 * @param missing - what the token lacks, each by {@link rememberedAs}
 * @returns the mark, and the names of those for which the circuit opens now
 */
export function noteFound(
  mark: TargetMark,
  missing: ReadonlySet<string>,
  now: number,
  { circuitAfter }: GuardSettings,
): { readonly mark: TargetMark; readonly opened: readonly string[] } {
  const given: { [grant: string]: GivenGrant } = {}
  const over: string[] = []
  for (const [key, grant] of Object.entries(mark.given)) {
    const gone = grant.held && missing.has(key)
    given[key] = gone
      ? { ...grant, held: false, removed: grant.removed + 1 }
      : { ...grant, held: grant.held || !missing.has(key) }
    if (gone && grant.removed + 1 >= circuitAfter) over.push(grant.name)
  }
  const opened = mark.circuitAt === undefined ? over : []
  return { mark: { ...mark, given, ...(opened.length > 0 && { circuitAt: now }) }, opened }
}

/** That a token is about to be changed. */
export function noteChange(mark: TargetMark, now: number): TargetMark {
  return { ...mark, changes: [...mark.changes.filter((at) => at > now - DAY), now].slice(-100) }
}

/** That it was seen to have what it was given. */
export function noteGiven(mark: TargetMark, grants: readonly Grant[], now: number): TargetMark {
  const given = { ...mark.given }
  for (const grant of grants) {
    const key = rememberedAs(grant)
    given[key] = { name: grant.name, at: now, held: true, removed: given[key]?.removed ?? 0 }
  }
  const kept = Object.entries(given).sort(([, a], [, b]) => b.at - a.at)
  return { ...mark, given: Object.fromEntries(kept.slice(0, MAX_GIVEN)) }
}

/** Closes the circuit and forgets how often grants were taken away. */
export function closeCircuit({ circuitAt: _, ...mark }: TargetMark): TargetMark {
  return { ...mark, given: {} }
}

/** The fields that are otherwise than they were seen last. */
export function changedFields(mark: TargetMark, fields: { readonly [field: string]: string }): string[] {
  const { seen } = mark
  return seen === undefined ? [] : Object.keys(fields).filter((field) => seen[field] !== fields[field])
}
