import type { Kind } from '../kernel/kind.ts'

/** The networks that a token was used from. Its id is the token's. */
export interface KnownNetworks {
  /** The last use from each, epoch ms, to the day. */
  readonly networks: readonly { readonly network: string; readonly at: number }[]
  /** The last use from any. */
  readonly at: number
}

/** The networks of tokens: unjournaled, forgotten when a token wasn't used for long. */
export const networksKind: Kind<KnownNetworks, 'at', never> = {
  name: 'networks',
  schema: 1,
  journaled: false,
  unique: {},
  order: { at: (known) => ({ at: known.at }) },
  merge: () => undefined,
}

/** Networks that are remembered of one token. */
const MOST = 32
/** Uses within a day of the last aren't written. */
export const NETWORK_FRESH_MS = 86_400_000

/** What the latest networks of a token make of those that were known. */
export interface NetworksLearnt {
  /** The record to write; absent when nothing is new. */
  readonly record?: KnownNetworks
  /** Those that weren't known. */
  readonly fresh: readonly string[]
}

/**
 * Adds networks to those that are known of a token. The first ones ever are learnt without a word: there is nothing to
 * compare them with.
 *
 * @param known - what is in the store
 * @param used - the networks that the token was used from since
 */
export function learnNetworks(known: KnownNetworks | undefined, used: Iterable<string>, now: number): NetworksLearnt {
  const networks = new Map(known?.networks.map(({ network, at }) => [network, at]))
  const fresh: string[] = []
  let changed = false
  for (const network of used) {
    const at = networks.get(network)
    if (at !== undefined && now - at < NETWORK_FRESH_MS) continue
    if (at === undefined) fresh.push(network)
    changed = true
    networks.set(network, now)
  }
  if (!changed) return { fresh: [] }
  const latest = [...networks].sort(([, a], [, b]) => b - a).slice(0, MOST)
  const record = { networks: latest.map(([network, at]) => ({ network, at })), at: now }
  return { record, fresh: known === undefined ? [] : fresh }
}
