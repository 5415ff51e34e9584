import { approvalKind } from '../access/approval-record.ts'
import { quotaKind } from '../access/quota.ts'
import type { AnyKind, Kind } from '../kernel/kind.ts'
import { keyKind } from '../stores/key-check.ts'
import { activityKind } from '../stores/usage-rows.ts'
import { tokenKind } from '../tokens/record.ts'

/** A kind that goes into archives, and how its records come back. */
export interface ArchivedKind {
  readonly kind: AnyKind
  /** Order indexes without partition that hold the records together: for stores that can't scan. */
  readonly all: readonly string[]
  /** The record that one of this kind hangs on: without it, it isn't restored. Its kind comes earlier in the list. */
  readonly owner: ((id: string, value: unknown) => { readonly kind: AnyKind; readonly id: string }) | undefined
  /** Whether a record has ended for good: one that hasn't is never put in its place. */
  readonly ended: ((value: unknown) => boolean) | undefined
  /** A record as it comes back when nothing is to start by itself, such as a rule, paused. */
  readonly atRest: ((value: unknown) => unknown) | undefined
  /** What its users call a record. */
  readonly label: ((value: unknown) => string) | undefined
}

/** What {@link archived} is told of a kind. */
export interface ArchivedKindOptions<T, O extends string> {
  /** Order indexes without partition that hold the records together: for stores that can't scan. */
  readonly all: readonly O[]
  /** The record that one of this kind hangs on: without it, it isn't restored. Its kind comes earlier in the list. */
  readonly owner?: (id: string, value: T) => { readonly kind: AnyKind; readonly id: string }
  /** Whether a record has ended for good: one that hasn't is never put in its place. */
  readonly ended?: (value: T) => boolean
  /** A record as it comes back when nothing is to start by itself, such as a rule, paused. */
  readonly atRest?: (value: T) => T
  /** What its users call a record. */
  readonly label?: (value: T) => string
}

/** A kind for archives. */
export function archived<T, O extends string, U extends string>(
  kind: Kind<T, O, U>,
  options: ArchivedKindOptions<T, O>,
): ArchivedKind {
  const { all, owner, ended, atRest, label } = options as ArchivedKindOptions<unknown, string>
  return { kind, all, owner, ended, atRest, label }
}

/** The keys that a store has seen. In every archive, first: a restore compares them with the ring before it writes. */
export const ARCHIVED_KEYS: ArchivedKind = archived(keyKind, { all: ['since'] })

/** The kinds of the core. Rooms above add theirs where the front door makes its list. */
export const CORE_KINDS: readonly ArchivedKind[] = [
  archived(tokenKind, {
    all: ['created'],
    ended: (token) => token.revoked !== undefined,
    label: (token) => token.service,
  }),
  archived(activityKind, {
    all: ['calls'],
    owner: (id) => ({ kind: tokenKind, id: id.slice(0, id.lastIndexOf('.')) }),
  }),
  archived(approvalKind, { all: ['ends'], ended: (approval) => approval.status === 'consumed' }),
  archived(quotaKind, { all: ['window'], owner: (id) => ({ kind: tokenKind, id }) }),
]
