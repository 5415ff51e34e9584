import { TOKEN_WRITE } from './known-groups.ts'
import { defineTemplate, type Template } from './requirement.ts'

/**
 * What a token needs to build and run a whole application on Workers: 14 groups on its account. Analytics Engine has no group
 * for writing; its queries need `Account Analytics Read`. `Account API Tokens Write` isn't in it, see its note.
 */
export const workersFullStack: Template = defineTemplate('workersFullStack', {
  account: [
    'Workers Scripts Write',
    'Workers KV Storage Write',
    'D1 Write',
    'Workers R2 Storage Write',
    'Workers AI Write',
    'AI Gateway Write',
    'Queues Write',
    'Vectorize Write',
    'Hyperdrive Write',
    'Workers Tail Read',
    'Pages Write',
    'Images Write',
    'Cloudflare Tunnel Write',
    'Account Analytics Read',
  ],
  notes: [
    `workersFullStack leaves out '${TOKEN_WRITE.account}': a token that has it can give itself everything. It belongs on the healer's own credential and nowhere else (template tokenAdministration).`,
    "workersFullStack asks for 'Account Analytics Read' for Analytics Engine, which has no group for writing.",
  ],
})

/**
 * What the healer's own credential needs, and nothing else: writing the tokens of its account, or of its user. Both groups are
 * sensitive: `allowSensitive` must name them.
 */
export const tokenAdministration: Template = defineTemplate('tokenAdministration', {
  account: [TOKEN_WRITE.account],
  user: [TOKEN_WRITE.user],
  notes: [
    `Whoever has a token with '${TOKEN_WRITE.account}' or '${TOKEN_WRITE.user}' can make it grant everything. Bind it to addresses, give it an end, and let it hold nothing else.`,
  ],
})

/** What a monitor needs to look on without being able to change anything. */
export const readOnlyMonitoring: Template = defineTemplate('readOnlyMonitoring', {
  account: [
    'Workers Scripts Read',
    'Workers KV Storage Read',
    'D1 Read',
    'Workers R2 Storage Read',
    'Queues Read',
    'Hyperdrive Read',
    'Workers Tail Read',
    'Pages Read',
    'Account Analytics Read',
    'Account Settings Read',
  ],
  user: ['User Details Read', 'Memberships Read'],
})
