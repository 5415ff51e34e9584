import type { HookOutcome } from './hooks.ts'
import type { RotationRecord, RotationStep } from './rotation-record.ts'

/** What follows from a hook's answer. */
export type Verdict =
  | { readonly next: 'advance' }
  | { readonly next: 'regenerate' }
  | { readonly next: 'stall' }
  | { readonly next: 'retry'; readonly delayMs: number }

/** How often something is tried. */
export interface Patience {
  readonly attempts: number
  readonly regenerations: number
}

const LONGEST_DELAY = 60_000

/**
 * What follows from a hook's answer: a value that was rejected is replaced (trying it again would be for ever), one whose
 * fate is unknown is tried again (another might already be in use), and both end in a stall.
 */
export function judge(rotation: RotationRecord, outcome: HookOutcome, patience: Patience): Verdict {
  if (outcome.answer === 'ok') return { next: 'advance' }
  if (outcome.answer === 'rejected') {
    // Once it is current and its consumers have it, there is no value to replace.
    const replaceable = rotation.step !== 'finish' && rotation.brought !== true
    return { next: replaceable && rotation.regenerated < patience.regenerations ? 'regenerate' : 'stall' }
  }
  if (rotation.attempts >= patience.attempts) return { next: 'stall' }
  return { next: 'retry', delayMs: Math.min(1000 * 2 ** (rotation.attempts - 1), LONGEST_DELAY) }
}

/** The step after this one; `undefined` after the last. */
export function stepAfter(rotation: RotationRecord): RotationStep | undefined {
  return rotation.steps[rotation.steps.indexOf(rotation.step) + 1]
}

/** Whether the version becomes current before this step (or, `undefined`, at the end). */
export function switchesBefore(rotation: RotationRecord, step: RotationStep | undefined): boolean {
  return rotation.switchedAt === undefined && (step === undefined || step === 'finish')
}
