import { type Clock, type GenerateInput, Generator, type KeyRing, type MemoryTokenStore } from '../src/index.ts'

/** The address that every call comes from: in the last of the ten networks. */
export const CLIENT_IP = '203.0.113.77'

/** The policies that the tokens share, as tokens of a real service do. Every check has something to check. */
const POLICIES: readonly Partial<GenerateInput>[] = Array.from({ length: 8 }, (_, i) => ({
  level: 'standard',
  scopes: ['orders:read', 'orders:write', 'bills:*', `team-${i}:read`],
  tools: ['get_bill', 'list_bills', 'send_bill'],
  ipAllow: [...Array.from({ length: 9 }, (_, n) => `10.${i * 16 + n}.0.0/16`), '203.0.113.0/24'],
  // A bucket that is never empty and never full again: a full one would be forgotten, which no busy token's is.
  rateLimit: { limit: 1000, per: '1h', burst: 1_000_000_000 },
}))

/** What a call asks for: the network, a level, a scope and a tool. Made anew for each call, as a middleware does. */
export function callContext() {
  return { ip: CLIENT_IP, level: 'standard', scopes: WANTED, tool: 'get_bill' } as const
}

const WANTED = Object.freeze(['orders:read'])

/** The input of the `i`-th token. */
export function tokenInput(i: number): GenerateInput {
  return { service: `service-${i}`, prefix: 'sk_', expiresIn: '30d', ...POLICIES[i % POLICIES.length] }
}

/**
 * Fills a store with tokens, made as a host makes them.
 *
 * @param keep - which texts to keep; all would take more room than the store. Asked when the token is made
 * @param clock - when they are made. Default: the system's
 * @returns the texts kept, as the flat strings that a parser of requests gives
 */
export async function populate(
  store: MemoryTokenStore,
  keys: KeyRing,
  from: number,
  to: number,
  keep: (i: number) => boolean,
  clock?: Clock,
): Promise<string[]> {
  const generator = new Generator({ store, keys, clock })
  const texts: string[] = []
  for (let i = from; i < to; i++) {
    const { token } = await generator.generate(tokenInput(i))
    if (keep(i)) texts.push(Buffer.from(token, 'latin1').toString('latin1'))
  }
  return texts
}
