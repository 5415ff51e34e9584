import { formatDuration } from '../kernel/duration.ts'
import type { HealthSource } from '../kernel/health.ts'
import { KeyRing } from '../tokens/key-ring.ts'
import type { JwtAlgorithm, KeySchedule, SigningKey, SigningKeyRecord } from './signing-key.ts'

/** How the keys of one algorithm stand. */
export interface SigningKeyHealth {
  readonly algorithm: JwtAlgorithm
  /** The key that signs; absent when there is none. */
  readonly signing?: string
  /** When the next one has to be announced, epoch ms. */
  readonly nextDueAt?: number
  /** The key that is announced and signs next. */
  readonly next?: string
  /** When that one signs, epoch ms. */
  readonly nextSignsFrom?: number
}

/** How signed tokens stand: whether keys take turns, and what is known of revocations is fresh. */
export interface SignedHealth extends HealthSource {
  /** The algorithms that have keys; none before the first JWT. */
  readonly keys: readonly SigningKeyHealth[]
  /** What is known of revocations here. */
  readonly revocations: {
    /** How many are held in memory. */
    readonly count: number
    /** When they were last read, epoch ms; absent = never. */
    readonly readAt?: number
  }
}

/** What {@link judgeSigned} decides on. */
export interface SignedFacts {
  /** Epoch ms. */
  readonly now: number
  /** The keys, as they were read last. */
  readonly sets: readonly SigningKeyRecord[]
  readonly schedule: KeySchedule
  /** The ids of the ring's keys: what was sealed under another can't be opened. */
  readonly ring: readonly string[]
  /** Whether tokens are judged at all; not when the store doesn't answer, and what was read before is too old. */
  readonly usable: boolean
  /** When keys and revocations were read, epoch ms; -Infinity = never. */
  readonly readAt: number
  /** How old that may be, ms. */
  readonly maxStaleness: number
  /** Revocations in memory. */
  readonly revocations: number
  /** For how long the oldest revocation should have been gone, ms; 0 = none should be. */
  readonly overdue: number
}

/** A turn that is late by less than this, or by a tenth of the time that keys sign, isn't told: turns are taken by `tick()`. */
const LATE = 3_600_000
/** Revocations that are over may stay for so long: a few hundred go with each tick. */
const OVERDUE = 86_400_000

/** How signed tokens stand. Pure. */
export function judgeSigned(facts: SignedFacts): SignedHealth {
  const { now, sets, usable, readAt, maxStaleness, overdue } = facts
  const serious: string[] = []
  const minor: string[] = []
  const age = now - readAt
  if (!usable) {
    serious.push("keys and revocations can't be read: signed tokens are refused as unavailable")
  } else if (age >= maxStaleness) {
    minor.push(`what is known of keys and revocations is ${roundly(age)} old, and the store doesn't answer`)
  }
  const keys: SigningKeyHealth[] = []
  for (const set of sets) keys.push(judgeKeys(set, facts, serious, minor))
  if (overdue > OVERDUE) {
    minor.push(`revocations that were over ${roundly(overdue)} ago are still kept; does tick() run?`)
  }
  return {
    status: serious.length > 0 ? 'unhealthy' : minor.length > 0 ? 'degraded' : 'healthy',
    reasons: [...serious, ...minor],
    keys,
    revocations: { count: facts.revocations, ...(Number.isFinite(readAt) && { readAt }) },
  }
}

function judgeKeys(
  { algorithm, versions }: SigningKeyRecord,
  { now, schedule, ring }: SignedFacts,
  serious: string[],
  minor: string[],
): SigningKeyHealth {
  const current = versions.find(({ state }) => state === 'current')
  const next = versions.find(({ state, pendingUntil = 0 }) => state === 'pending' && now < pendingUntil)
  const late = Math.min(LATE, schedule.rotateEvery / 10)
  if (current === undefined) {
    serious.push(`there is no current ${algorithm} key: no JWT can be minted`)
  } else if (!opens(current, ring)) {
    serious.push(`the ${algorithm} key ${current.kid} was sealed under a key that the ring lacks: no JWT can be minted`)
  }
  const nextDueAt = current && current.createdAt + schedule.rotateEvery
  const nextSignsFrom = next && next.createdAt + schedule.announceFor
  if (nextSignsFrom !== undefined && now >= nextSignsFrom + late) {
    minor.push(
      `the next ${algorithm} key could have signed for ${roundly(now - nextSignsFrom)}, and doesn't; does tick() run?`,
    )
  } else if (next === undefined && nextDueAt !== undefined && now >= nextDueAt + late) {
    minor.push(`the next ${algorithm} key should have been announced ${roundly(now - nextDueAt)} ago; does tick() run?`)
  }
  if (next !== undefined && !opens(next, ring)) {
    minor.push(`the next ${algorithm} key ${next.kid} was sealed under a key that the ring lacks`)
  }
  return {
    algorithm,
    ...(current !== undefined && { signing: current.kid }),
    ...(next === undefined && nextDueAt !== undefined && { nextDueAt }),
    ...(next !== undefined && { next: next.kid, nextSignsFrom: nextSignsFrom as number }),
  }
}

function opens({ sealed }: SigningKey, ring: readonly string[]): boolean {
  return sealed !== undefined && ring.includes(KeyRing.sealedBy(sealed))
}

const UNITS = [86_400_000, 3_600_000, 60_000, 1000]

/** A duration in its largest unit of which there are two at least, rounded down. */
function roundly(ms: number): string {
  const unit = UNITS.find((each) => ms >= 2 * each) ?? 1
  return formatDuration(ms - (ms % unit))
}
