import type { JournalFacts } from '../stores/journal-link.ts'
import { RISKS, type Risk } from '../tokens/risk.ts'

/** What isn't here is `low`: housekeeping that changes nobody's rights. */
const BY_ACTION: { readonly [action: string]: Risk } = {
  'token.generated': 'moderate',
  'token.imported': 'moderate',
  'token.updated': 'moderate',
  'token.enabled': 'moderate',
  'token.disabled': 'moderate',
  'token.rotated': 'moderate',
  'token.rekeyed': 'moderate',
  'token.revoked': 'high',
  'rotation.abandoned': 'moderate',
  'rotation.rolledBack': 'high',
  'token.revealed': 'critical',
  'token.restored': 'critical',
  'store.restored': 'critical',
  'journal.pruned': 'critical',
  'rule.created': 'high',
  'rule.updated': 'high',
  'rule.removed': 'high',
}

/** The risk of what an entry tells: what its detail says (an approval's), else by its action. */
export function riskOf({ action, detail }: Pick<JournalFacts, 'action' | 'detail'>): Risk {
  const told = detail?.['risk']
  return RISKS.find((risk) => risk === told) ?? BY_ACTION[action] ?? 'low'
}
