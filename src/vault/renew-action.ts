import type { Action } from '../automation/action.ts'
import type { VaultTokenManager } from './vault-token-manager.ts'

/**
 * The action of rules that renew the token on a schedule of the host's, beside the manager's own: `tokens.rules.action('vault.renew', vaultRenewAction(manager))`. A
 * token without an end, or one that can't be renewed, makes a skipped run.
 *
 * @param manager - a manager that was started
 * @example
 * ```ts
 * tokens.rules.action('vault.renew', vaultRenewAction(manager))
 * await tokens.rules.create({ name: 'vault before the batch', action: 'vault.renew', schedule: { cron: '0 1 * * *', timezone: 'UTC' } })
 * ```
 */
export function vaultRenewAction(manager: Pick<VaultTokenManager, 'forceRenewal'>): Action {
  return {
    async run({ signal }) {
      const { skipped, extended } = await manager.forceRenewal({ signal })
      if (skipped !== undefined) return { outcome: 'skipped', reason: skipped }
      return { outcome: 'ok', counts: { renewed: 1, extended: extended ? 1 : 0 } }
    },
  }
}
