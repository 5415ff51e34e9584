import type { MaybePromise, Stored } from '../kernel/kind.ts'
import type { Page, TokenStore } from '../stores/token-store.ts'
import { type RuleRecord, ruleKind } from './rule.ts'
import { type RunRecord, runKind } from './run.ts'

/** What is read at once. */
export const PAGE = 500

/** A page of the rules that are due at `at`, the longest due first: a range of an index, whatever else there is. */
export function dueRules(store: TokenStore, at: number, cursor?: string): MaybePromise<Page<Stored<RuleRecord>>> {
  return store.list(ruleKind, { index: 'due', to: at + 1, limit: PAGE, cursor })
}

/** The runs that wait for an attempt, or whose lease is over, at `time`; a page of them. */
export function dueRuns(store: TokenStore, time: number, cursor?: string): MaybePromise<Page<Stored<RunRecord>>> {
  return store.list(runKind, { index: 'due', to: time + 1, limit: PAGE, cursor })
}
