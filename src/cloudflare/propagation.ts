import type { Grant } from './grant.ts'
import { accountResource } from './resources.ts'

/** How long to wait before each look at a fresh grant, ms: it takes up to about a minute. */
export const PROPAGATION_DELAYS: readonly number[] = [2000, 4000, 8000, 15_000, 30_000]

/** An endpoint of each product that a token may read by any of its groups, below its account. */
const PROBES: { readonly [product: string]: string } = {
  'Workers Scripts': '/workers/scripts',
  'Workers KV Storage': '/storage/kv/namespaces',
  D1: '/d1/database',
  'Workers R2 Storage': '/r2/buckets',
  Queues: '/queues',
  Vectorize: '/vectorize/v2/indexes',
  Hyperdrive: '/hyperdrive/configs',
  Pages: '/pages/projects',
  'AI Gateway': '/ai-gateway/gateways',
  'Cloudflare Tunnel': '/cfd_tunnel',
}

/**
 * A path that answers whether a fresh grant is in force: the first of those granted that has one. `undefined` where none has.
 *
 * @param added - what was granted
 * @param accountId - on which account
 */
export function probeOf(added: readonly Grant[], accountId: string | undefined): string | undefined {
  if (accountId === undefined) return undefined
  for (const { name, resource } of added) {
    const product = name.replace(/ (?:Read|Write)$/, '')
    if (product === name || resource !== accountResource(accountId) || !Object.hasOwn(PROBES, product)) continue
    return `/accounts/${accountId}${PROBES[product]}`
  }
  return undefined
}
