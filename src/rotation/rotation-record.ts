import type { Kind } from '../kernel/kind.ts'

/** What a rotation does, in this order; it has the steps for which there are hooks. */
export type RotationStep = 'publish' | 'test' | 'finish'

/** Where a rotation stands. `running`: an instance is at it, or will be; `stalled`: it waits for somebody. */
export type RotationStatus = 'running' | 'stalled' | 'done' | 'abandoned' | 'rolled_back'

/** Where an unattended rotation comes from. */
export interface RotationOrigin {
  /** The rule that asked for it. */
  readonly rule?: string | undefined
  /** The rule's slot, epoch ms: the new version's age counts from there. */
  readonly slot?: number | undefined
  /** The batch that it is a part of. */
  readonly batch?: string | undefined
}

/** What went wrong last. */
export interface RotationFailure {
  readonly step: RotationStep
  /** The error's code or name, or `rejected`. */
  readonly code: string
  /** When, epoch ms. */
  readonly at: number
}

/**
 * A rotation of one token. It holds who is at it and what was tried, which the token's record has no business with; what
 * happens to the versions is in the token's record, in the same commit. Never a secret.
 */
export interface RotationRecord {
  readonly id: string
  /** The token's id. */
  readonly token: string
  readonly service: string
  /** The number of the version that it makes. */
  readonly version: number
  /**
   * `staged`: the version is pending until its consumers have it. `switched`: it was current before anyone was told,
   * because the old one had to end at once, or because there is nobody to tell.
   */
  readonly flow: 'staged' | 'switched'
  /** The steps that have a hook, in order. */
  readonly steps: readonly RotationStep[]
  /** The step that it is at, or was last. */
  readonly step: RotationStep
  readonly status: RotationStatus
  /** How often the step was begun. */
  readonly attempts: number
  /** How often another value was drawn. */
  readonly regenerated: number
  /** Grows with every attempt: a late answer of an earlier one finds another. */
  readonly fence: number
  /** How long the version before lives on, ms. */
  readonly grace: number
  /** Whether another instance may carry on: its hooks were registered at construction. */
  readonly resumable: boolean
  /** Whether the value was brought, so that no other can be drawn. */
  readonly brought?: true
  /** Ends the older versions once they aren't used any more. */
  readonly retireWhenQuiet?: true
  readonly startedAt: number
  /** When its version became current, epoch ms. */
  readonly switchedAt?: number
  /** The version that was current before. */
  readonly previous?: number
  /** Until when that one verifies, epoch ms; absent = it ended at once. */
  readonly graceUntil?: number
  /** When it was done, abandoned or rolled back, epoch ms. */
  readonly endedAt?: number
  /** When the older versions were found to be out of use, epoch ms. */
  readonly adoptedAt?: number
  /** The store's time at which it is to be looked at: a lease ends, a retry is due, or the older versions may be quiet. */
  readonly dueAt?: number
  readonly failure?: RotationFailure
  readonly actor?: string
  readonly reason?: string
  readonly rule?: string
  readonly slot?: number
  readonly batch?: string
}

/** Rotations. Unjournaled: what they do to tokens is journaled with the tokens. */
export const rotationKind: Kind<RotationRecord, 'due' | 'token' | 'batch' | 'status' | 'ended', never> = {
  name: 'rotation',
  schema: 1,
  journaled: false,
  unique: {},
  order: {
    due: (rotation) => (rotation.dueAt === undefined ? undefined : { at: rotation.dueAt }),
    token: (rotation) => ({ in: rotation.token, at: rotation.startedAt }),
    batch: (rotation) => (rotation.batch === undefined ? undefined : { in: rotation.batch, at: rotation.startedAt }),
    status: (rotation) => ({ in: rotation.status, at: rotation.startedAt }),
    ended: (rotation) => (rotation.endedAt === undefined ? undefined : { at: rotation.endedAt }),
  },
  // A rotation that was under way when the archive was made isn't taken up: its text may be lost, its consumers are elsewhere.
  merge: (here, archived) => {
    if (here !== undefined) return undefined
    if (archived.status !== 'running' && archived.status !== 'stalled') return archived
    const { dueAt: _, ...rest } = archived
    return { ...rest, status: 'abandoned', endedAt: archived.startedAt }
  },
}

/** What may be told of a rotation: who asked for it, how far it is, what went wrong. A plain frozen object. */
export type RotationView = Omit<RotationRecord, 'fence' | 'dueAt' | 'brought' | 'resumable' | 'flow' | 'steps'> & {
  /** Whether another instance may carry on after a crash; false for hooks that were given with the call. */
  readonly resumable: boolean
}

/** What may be told of a rotation. */
export function rotationView(rotation: RotationRecord): RotationView {
  const { fence: _, dueAt: __, brought: ___, flow: ____, steps: _____, ...view } = rotation
  return Object.freeze(view)
}
