/** What is remembered of a token's calls. */
export interface RateState {
  /** Calls a minute, averaged over about an hour. */
  readonly mean: number
  /** Minutes that the mean is made of. */
  readonly minutes: number
}

/** From when on a rate counts as changed. */
export interface RateSettings {
  /** How many times as many calls, or as few. */
  readonly factor: number
  /** Where neither the calls nor the mean reach this many a minute, nothing is said. */
  readonly minimum: number
}

/** What a few minutes made of a token's rate. */
export interface RateJudgement {
  readonly state: RateState
  readonly change?: { readonly direction: 'rise' | 'drop'; readonly calls: number; readonly usual: number }
}

/** A mean over fewer minutes says too little. */
const LEARNT = 30
/** The minutes over which the mean is formed. */
const MEMORY = 60

/**
 * Adds the calls of the last minutes to what is known of a token, and tells whether they differ from what was usual. A
 * token that was first seen less than half an hour ago is only learnt about.
 *
 * @param before - what was known; `undefined` for a token seen for the first time
 * @param calls - the calls of these minutes
 * @param minutes - how many minutes; 1 or more
 */
export function judgeRate(
  before: RateState | undefined,
  calls: number,
  minutes: number,
  { factor, minimum }: RateSettings,
): RateJudgement {
  const rate = calls / minutes
  if (before === undefined) return { state: { mean: rate, minutes } }
  const { mean } = before
  const known = Math.min(MEMORY, before.minutes)
  // A plain average while little is known, then one that forgets.
  const weight = known < MEMORY ? minutes / (known + minutes) : 1 - (1 - 1 / MEMORY) ** minutes
  const state = { mean: mean + (rate - mean) * weight, minutes: before.minutes + minutes }
  if (before.minutes < LEARNT) return { state }
  const rise = rate >= minimum && rate >= factor * Math.max(mean, 1)
  const drop = mean >= minimum && rate * factor <= mean
  if (!rise && !drop) return { state }
  return { state, change: { direction: rise ? 'rise' : 'drop', calls: rounded(rate), usual: rounded(mean) } }
}

function rounded(rate: number): number {
  return Math.round(rate * 100) / 100
}
