import { KNOWN_GROUPS, SCOPES } from '../../cloudflare/known-groups.ts'

/** A row of the simulated catalogue. */
export interface SimulatedGroupRow {
  readonly id: string
  readonly name: string
  readonly scopes: readonly string[]
  readonly category: string
}

/** Groups of one name with two scopes, as the real catalogue has them: a map by name would lose one. */
const TWINS: readonly (readonly [name: string, scope: keyof typeof SCOPES, id: string])[] = [
  ['Access: Apps and Policies Write', 'account', '1e13c5124ca64b72b1969a67e8829049'],
  ['Access: Apps and Policies Write', 'zone', '959972745952452f8be2452be8cbb9f2'],
  ['Logs Read', 'account', '6a315a56f18441e59ed03352369ae956'],
  ['Logs Read', 'zone', 'c4a30cd58c5d42619c86a3c36c441e2d'],
  ['Logs Write', 'account', '96163bd1b0784f62b3e44ed8c2ab1eb6'],
  ['Logs Write', 'zone', '3b0b5e0ae5564a1ea5ad2b4dc6d2f0a5'],
  ['SSL and Certificates Write', 'zone', 'c03055bc037c4ea9afb9a9f104b7b721'],
  ['Email Routing Addresses Write', 'account', 'e4589eb09e63436686cd64252a3aebeb'],
]

/** What every simulator starts with: the groups that are known, and twins across scopes. */
export function fixtureGroups(): SimulatedGroupRow[] {
  const known = KNOWN_GROUPS.map(({ id, name, scope }) => ({ id, name, scopes: [scope], category: 'other' }))
  const twins = TWINS.map(([name, scope, id]) => ({ id, name, scopes: [SCOPES[scope]], category: 'other' }))
  return [...known, ...twins]
}

/** Endpoints of products that a token may read by any of their groups. */
export const PRODUCTS: { readonly [path: string]: string } = {
  '/workers/scripts': 'Workers Scripts',
  '/storage/kv/namespaces': 'Workers KV Storage',
  '/d1/database': 'D1',
  '/r2/buckets': 'Workers R2 Storage',
  '/queues': 'Queues',
  '/vectorize/v2/indexes': 'Vectorize',
  '/hyperdrive/configs': 'Hyperdrive',
  '/pages/projects': 'Pages',
  '/ai-gateway/gateways': 'AI Gateway',
  '/cfd_tunnel': 'Cloudflare Tunnel',
}
