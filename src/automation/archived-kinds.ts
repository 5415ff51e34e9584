import { type ArchivedKind, archived } from '../backup/archived-kind.ts'
import { pausedRule, ruleKind } from './rule.ts'
import { runKind } from './run.ts'

/** The kinds of this room that go into archives. Rules come back paused: most of them would be overdue. */
export const RULE_KINDS: readonly ArchivedKind[] = [
  archived(ruleKind, {
    all: ['created'],
    atRest: (rule) => (rule.paused === undefined ? pausedRule(rule, { at: rule.updatedAt, reason: 'restored' }) : rule),
    label: (rule) => rule.name,
  }),
  archived(runKind, { all: ['ended'], owner: (_id, { rule }) => ({ kind: ruleKind, id: rule }) }),
]
