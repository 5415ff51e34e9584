import { missingTogether, type OverallHealth, type TargetReport } from './report.ts'

/** What a row is about. */
export type HistoryAction = 'check' | 'heal' | 'apply' | 'narrow' | 'rollback' | 'roll'

/** What was done to one token, or tried. */
export interface TargetChange {
  /** The target's name. */
  readonly name: string
  readonly outcome: string
  readonly planHash?: string
  /** What it got, each as group and resource; at most 50 of it, fewer where there are many tokens, then how many more. */
  readonly added?: readonly string[]
  /** What it lost, in the same way. */
  readonly removed?: readonly string[]
  /** The snapshot from before the change. */
  readonly snapshot?: string
  /** Who approved it. */
  readonly approvedBy?: string
  readonly errorCode?: string
  readonly errorMessage?: string
}

/** One token's part of a row. */
export interface HistoryTarget {
  readonly name: string
  readonly kind: 'account' | 'user' | null
  readonly accountId: string | null
  readonly tokenId: string | null
  readonly health: OverallHealth | null
  readonly valid: boolean | null
  readonly verified: boolean | null
  readonly status: string | null
  readonly reason: string | null
  readonly missing: number | null
  /** The names of the groups that it lacked when it was looked at, before anything was done; at most 50, fewer where there are many tokens. */
  readonly missingGroups: readonly string[] | null
  readonly excess: number | null
  readonly expiresAt: number | null
  /** What was done to it, or tried; `null` where nothing was. */
  readonly change: Omit<TargetChange, 'name'> | null
}

/**
 * A row of the history: a check, a heal, or another change. The flat keys sum up the tokens of a kind: `valid` and `has_all_perms`
 * hold if they do for all, `missing_perms` is the sum. `null` = not known, or there is no such token.
 */
export interface HistoryRow {
  /** Later rows have larger ids. */
  readonly id: string
  /** When it began, epoch ms. */
  readonly at: number
  readonly action: HistoryAction
  /** Who asked for it. */
  readonly actor: string
  readonly overall_health: OverallHealth | null
  readonly account_token_valid: boolean | null
  readonly account_token_has_all_perms: boolean | null
  readonly account_token_missing_perms: number | null
  readonly user_token_valid: boolean | null
  readonly user_token_has_all_perms: boolean | null
  readonly user_token_missing_perms: number | null
  readonly auto_heal_attempted: boolean
  /** `null` when no heal was attempted, or what came of it isn't known. */
  readonly auto_heal_success: boolean | null
  readonly error_code: string | null
  readonly error_message: string | null
  /** Of the first plan that was applied, or was to be. */
  readonly planHash: string | null
  /** ms. */
  readonly duration: number
  readonly targets: readonly HistoryTarget[]
}

/** What a row is made of. */
export interface RowInput {
  readonly id: string
  readonly at: number
  readonly action: HistoryAction
  readonly actor: string
  readonly duration: number
  readonly reports: readonly TargetReport[]
  /** As they were before the changes; default `reports`. */
  readonly before?: readonly TargetReport[]
  readonly changes: readonly TargetChange[]
  readonly error?: { readonly code: string; readonly message: string } | undefined
  readonly overall: OverallHealth | null
}

const MAX_NAMES = 50
/** Names in a whole row: some databases take no row over 2 MB. */
const MAX_NAMES_OF_ROW = 5000
/** What became of a change that was begun: good, bad; anything else that was begun isn't known. */
const GOOD = new Set(['healed', 'narrowed'])
const BAD = new Set(['incomplete', 'rolled_back', 'rollback_failed', 'failed', 'changed_elsewhere'])
const UNKNOWN = new Set(['unknown'])

/** Whether an outcome means that a change was sent to Cloudflare. */
export function wasAttempted(outcome: string): boolean {
  return GOOD.has(outcome) || BAD.has(outcome) || UNKNOWN.has(outcome)
}

/** Makes a row. */
export function makeRow(input: RowInput): HistoryRow {
  const { id, at, action, actor, duration, reports, before = reports, changes, error, overall } = input
  // A rollback heals nothing, whatever comes of it.
  const outcomes = action === 'rollback' ? [] : changes.map((change) => change.outcome).filter(wasAttempted)
  const failed = changes.find(({ errorCode }) => errorCode !== undefined)
  const names = [...new Set([...reports.map(({ name }) => name), ...changes.map(({ name }) => name)])]
  const most = Math.min(MAX_NAMES, Math.floor(MAX_NAMES_OF_ROW / Math.max(1, names.length)))
  return {
    id,
    at,
    action,
    actor,
    overall_health: overall,
    ...(flat('account', reports) as AccountKeys),
    ...(flat('user', reports) as UserKeys),
    auto_heal_attempted: outcomes.length > 0,
    auto_heal_success: success(outcomes),
    error_code: error?.code ?? failed?.errorCode ?? null,
    error_message: error?.message ?? failed?.errorMessage ?? null,
    planHash: changes.find(({ planHash }) => planHash !== undefined)?.planHash ?? null,
    duration,
    targets: names.map((name) =>
      targetOf(
        name,
        most,
        reports.find((report) => report.name === name),
        before.find((report) => report.name === name),
        changes.find((change) => change.name === name),
      ),
    ),
  }
}

type AccountKeys = Pick<
  HistoryRow,
  'account_token_valid' | 'account_token_has_all_perms' | 'account_token_missing_perms'
>
type UserKeys = Pick<HistoryRow, 'user_token_valid' | 'user_token_has_all_perms' | 'user_token_missing_perms'>

function success(outcomes: readonly string[]): boolean | null {
  if (outcomes.some((outcome) => BAD.has(outcome))) return false
  if (outcomes.length === 0 || outcomes.some((outcome) => UNKNOWN.has(outcome))) return null
  return true
}

function flat(kind: 'account' | 'user', reports: readonly TargetReport[]): object {
  const own = reports.filter((report) => report.kind === kind)
  const valid = all(own.map((report) => report.valid))
  const counts = own.map(({ missing }) => missing?.length ?? null)
  return {
    [`${kind}_token_valid`]: valid,
    // One that surely lacks something settles it, whatever isn't known of the others.
    [`${kind}_token_has_all_perms`]: all(counts.map((count) => (count === null ? null : count === 0))),
    [`${kind}_token_missing_perms`]: own.length === 0 ? null : missingTogether(own),
  }
}

/** Whether all hold; `null` when that isn't known, or there are none. */
function all(values: readonly (boolean | null)[]): boolean | null {
  if (values.includes(false)) return false
  return values.length === 0 || values.includes(null) ? null : true
}

function targetOf(
  name: string,
  most: number,
  report: TargetReport | undefined,
  before: TargetReport | undefined,
  change: TargetChange | undefined,
): HistoryTarget {
  return {
    name,
    kind: report?.kind ?? null,
    accountId: report?.accountId ?? null,
    tokenId: report?.tokenId ?? null,
    health: report?.health ?? null,
    valid: report?.valid ?? null,
    verified: report?.verified ?? null,
    status: report?.status ?? null,
    reason: report?.reason ?? null,
    missing: report?.missing?.length ?? null,
    missingGroups: before?.missing?.slice(0, most).map((grant) => grant.name) ?? null,
    excess: report?.excessCount ?? null,
    expiresAt: report?.expiry?.at ?? null,
    change: change === undefined ? null : shortened(change, most),
  }
}

function shortened({ name: _, added, removed, ...told }: TargetChange, most: number): HistoryTarget['change'] {
  return {
    ...told,
    ...(added !== undefined && { added: cut(added, most) }),
    ...(removed !== undefined && { removed: cut(removed, most) }),
  }
}

function cut(lines: readonly string[], most: number): readonly string[] {
  return lines.length <= most ? lines : [...lines.slice(0, most), `${lines.length - most} more`]
}
