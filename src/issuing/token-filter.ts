import type { ListQuery } from '../stores/token-store.ts'
import type { TokenType } from '../tokens/format.ts'
import type { Level } from '../tokens/policy.ts'
import type { TokenOrder, TokenRecord } from '../tokens/record.ts'
import { lastEnd } from '../tokens/versions.ts'

/** Which tokens a list or a bulk revocation is about. */
export interface TokenFilter {
  readonly owner?: string | undefined
  readonly tag?: string | undefined
  readonly level?: Level | undefined
  readonly type?: TokenType | undefined
  readonly status?: 'active' | 'disabled' | 'revoked' | 'expired' | undefined
}

/** The one range of one index that holds every token that a filter wants, and the fewest others. */
export function rangeFor(
  filter: TokenFilter,
  order: 'created' | 'rotated' | 'ends',
  now: number,
): Omit<ListQuery<TokenOrder>, 'limit'> {
  if (order !== 'created') return { index: order }
  if (filter.owner !== undefined) return { index: 'owner', in: filter.owner }
  if (filter.tag !== undefined) return { index: 'tag', in: filter.tag }
  if (filter.status === 'expired') return { index: 'removable', to: now + 1 }
  if (filter.status !== undefined && filter.status !== 'active') return { index: 'status', in: filter.status }
  if (filter.type !== undefined) return { index: 'type', in: filter.type }
  if (filter.level !== undefined) return { index: 'level', in: filter.level }
  if (filter.status !== undefined) return { index: 'status', in: filter.status }
  return { index: 'created' }
}

/** Whether a token is one that a filter wants. */
export function matches(token: TokenRecord, filter: TokenFilter, now: number): boolean {
  if (filter.owner !== undefined && token.about?.owner !== filter.owner) return false
  if (filter.tag !== undefined && !token.about?.tags?.includes(filter.tag)) return false
  if (filter.level !== undefined && token.policy.level !== filter.level) return false
  if (filter.type !== undefined && token.format.type !== filter.type) return false
  if (filter.status === undefined) return true
  const expired = token.revoked === undefined && now >= lastEnd(token.versions, token.lifetime)
  const status = token.revoked ? 'revoked' : expired ? 'expired' : token.disabled ? 'disabled' : 'active'
  return status === filter.status
}
