import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { TokenStore } from '../stores/token-store.ts'
import type { Action, ActionContext, RuleBackups, RuleRegistry, RuleRotator } from './action.ts'
import { BulkRotateAction } from './bulk-rotate-action.ts'
import { GenerateAction } from './generate-action.ts'
import { RotateAction } from './rotate-action.ts'
import type { RuleSpec } from './rule-input.ts'
import type { TokenConditions } from './token-conditions.ts'

/** What the built-in actions call. An action whose service is absent isn't there. */
export interface ActionServices {
  /** For `rotate`, `bulk_rotate` and `generate`. */
  readonly rotator?: RuleRotator | undefined
  /** For `cleanup`. */
  readonly registry?: RuleRegistry | undefined
  /** For `backup`. */
  readonly backups?: RuleBackups | undefined
}

/** The actions that can be done with these services, by name. */
export function builtInActions(
  { rotator, registry, backups }: ActionServices,
  store: TokenStore,
  conditions: TokenConditions,
): Map<string, Action> {
  const actions = new Map<string, Action>()
  if (rotator !== undefined) {
    actions.set('rotate', new RotateAction(store, rotator, conditions))
    actions.set('bulk_rotate', new BulkRotateAction(store, rotator, conditions))
    actions.set('generate', new GenerateAction(store, rotator))
  }
  if (registry !== undefined) actions.set('cleanup', cleanupAction(registry))
  if (backups !== undefined) actions.set('backup', backupAction(backups))
  return actions
}

/** Removes what ended long ago, until nothing is left to remove. */
function cleanupAction(registry: RuleRegistry): Action {
  return {
    check: (rule) => {
      refuseTokens(rule)
      if (rule.params === undefined) return
      const { retention } = checkFields('params', rule.params, ['retention'])
      if (retention !== undefined) parseDuration('params.retention', retention as Duration, { allowZero: true })
    },
    run: async ({ params, signal, actor, reason }: ActionContext) => {
      const counts = { removed: 0, tidied: 0 }
      for (let more = true; more; ) {
        signal.throwIfAborted()
        const done = await registry.cleanup({ ...params, actor, ...(reason !== undefined && { reason }) })
        counts.removed += done.removed
        counts.tidied += done.tidied
        // Others may be at the same rows; what isn't done now is due again.
        more = done.more && done.removed + done.tidied > 0
      }
      return { counts }
    },
  }
}

const BACKUP_PARAMS = ['to', 'include', 'key', 'compress', 'verify']

/** Makes a backup; `params` are its options. */
function backupAction(backups: RuleBackups): Action {
  return {
    check: (rule) => {
      refuseTokens(rule)
      const { params = {} } = rule
      if ('passphrase' in params) {
        const help = 'make it under a key of the ring, or by a registered action that knows the passphrase'
        throw new InvalidInputError('params.passphrase', 'would stand in the store, readable', help)
      }
      checkFields('params', params, BACKUP_PARAMS)
    },
    run: async ({ params, actor, reason }: ActionContext) => {
      const { tokenCount } = await backups.create({ ...params, actor, ...(reason !== undefined && { reason }) })
      return { counts: { backups: 1, ...(tokenCount !== undefined && { tokens: tokenCount }) } }
    },
  }
}

function refuseTokens({ action, services, conditions }: RuleSpec): void {
  const stray = services !== undefined ? 'services' : conditions !== undefined ? 'conditions' : undefined
  if (stray !== undefined) {
    throw new InvalidInputError(stray, `can't go with '${action}'`, 'it is about everything: leave it out')
  }
}
