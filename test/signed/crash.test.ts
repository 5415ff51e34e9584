import { describe, expect, it } from 'vitest'
import type { TokenStore, Tokenwright } from '../../src/index.ts'
import { revocationKind } from '../../src/signed/revocation.ts'
import { signingKeyKind } from '../../src/signed/signing-key.ts'
import { WORLDS, type World } from '../automation/worlds.ts'
import { CrashingStore } from '../crashing-store.ts'
import { DAY, HOUR, setUp } from '../issuing/fixture.ts'

/**
 * A process dies at every commit about signing keys and revocations, before it is done or with its answer lost. At every
 * step two others look on: one that has run all the while, and one that has just started.
 */

const KEYS = 'a secret for crashes, 0123456789 abcdefghijk'
const SIGNED = { rotateEvery: '10d', announceFor: '1d', maxTtl: '5d', maxStaleness: 10 } as const
/** More commits than any of these stories has. */
const MOST_COMMITS = 30

interface Witness {
  readonly store: TokenStore
  readonly watcher: Tokenwright
  /** What was handed out, and whether it has to prove itself now: `undefined` while that is open. */
  readonly handedOut: { readonly token: string; readonly expiresAt: number; denied: boolean | undefined }[]
}

/** Nobody is told of changes: what holds then holds everywhere, and no time passes in looking for them. */
function untold(store: TokenStore): TokenStore {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = name === 'watch' ? undefined : Reflect.get(target, name, target)
      return typeof value === 'function' ? value.bind(target) : value
    },
  })
}

const open = ({ clock }: World, store: TokenStore): Tokenwright =>
  setUp({ store: untold(store), keys: KEYS, signed: SIGNED, retention: false }, clock).tokens

/** Whether keys stand as they may, every token that was handed out verifies, and none that was denied. */
async function look(world: World, { store, watcher, handedOut }: Witness, context: string): Promise<void> {
  const fresh = open(world, store)
  await world.pass(SIGNED.maxStaleness)
  const now = world.clock.now()
  const set = await store.get(signingKeyKind, 'EdDSA')
  const versions = set?.value.versions ?? []
  const states = versions.map(({ state }) => state)
  if (set !== undefined)
    expect(
      states.filter((state) => state === 'current'),
      context,
    ).toHaveLength(1)
  expect(states.filter((state) => state === 'pending').length, context).toBeLessThanOrEqual(1)
  for (const { state, graceUntil, pendingUntil, sealed } of versions) {
    if (state === 'previous') expect(graceUntil, context).toBeDefined()
    if (state === 'pending') expect(pendingUntil, context).toBeDefined()
    if (state === 'retired') expect(sealed, context).toBeUndefined()
  }
  for (const tokens of [watcher, fresh]) {
    for (const { token, expiresAt, denied } of handedOut) {
      if (denied === undefined) continue
      const answer = await tokens.verify(token)
      if (denied) expect(answer.ok, `${context}: a token that was denied verifies`).toBe(false)
      else if (now < expiresAt) expect(answer, `${context}: a token is lost`).toMatchObject({ ok: true })
      else expect(answer.ok, context).toBe(false)
    }
  }
  fresh.signer.close()
  fresh.verifier.close()
}

type Step = (tokens: Tokenwright, witness: Witness) => Promise<unknown>

const mint =
  (format: 'jwt' | 'hmac' = 'jwt', agent = 'a', ttl: '2d' | '5d' = '5d'): Step =>
  async (tokens, { handedOut }) => {
    const { token, expiresAt } = await tokens.signer.mint({ agent, ttl, format })
    handedOut.push({ token, expiresAt, denied: false })
  }

/** The first key, its announced follower, the turn, the end of the first; then one that is in wrong hands. */
const KEY_STORY: readonly (Step | number)[] = [
  mint(),
  10 * DAY - DAY,
  mint(),
  DAY,
  (tokens) => tokens.signer.tick(),
  mint(),
  DAY,
  mint('jwt', 'a', '2d'),
  (tokens) => tokens.signer.tick(),
  mint(),
  // The last tokens of the key before still live.
  3 * DAY,
  (tokens) => tokens.signer.tick(),
  2 * DAY - HOUR,
  (tokens) => tokens.signer.tick(),
  mint(),
  3 * HOUR,
  (tokens) => tokens.signer.tick(),
  (tokens) => tokens.signer.rotateKey(),
  mint(),
  DAY,
  (tokens) => tokens.signer.rotateKey(),
  mint(),
  async (tokens, { handedOut }) => {
    // While nobody knows whether it is done, neither answer is wrong.
    for (const each of handedOut) each.denied = undefined
    await tokens.signer.rotateKey({ compromised: true })
    for (const each of handedOut) each.denied = true
  },
  mint(),
  async (tokens, { handedOut }) => {
    const others = handedOut.filter(({ denied }) => denied !== true)
    for (const each of others) each.denied = undefined
    await tokens.signer.revoke('all')
    for (const each of others) each.denied = true
  },
  mint('hmac', 'b'),
]

const revoke =
  (target: Parameters<Tokenwright['signer']['revoke']>[0] | number, covers: (n: number) => boolean): Step =>
  async (tokens, { handedOut }) => {
    const named = typeof target === 'number' ? { token: handedOut[target]?.token as string } : target
    const covered = handedOut.filter((_each, n) => covers(n))
    for (const each of covered) if (each.denied === false) each.denied = undefined
    await tokens.signer.revoke(named)
    for (const each of covered) each.denied = true
  }

const REVOCATION_STORY: readonly (Step | number)[] = [
  mint('hmac', 'a'),
  mint('jwt', 'a'),
  mint('hmac', 'b'),
  mint('jwt', 'b'),
  mint('hmac', 'c'),
  mint('jwt', 'c'),
  revoke(0, (n) => n === 0),
  revoke({ agent: 'b' }, (n) => n === 2 || n === 3),
  // Minted afterwards, of an agent whose older tokens are revoked: good.
  mint('hmac', 'b'),
  // Further than before.
  DAY,
  mint('jwt', 'a'),
  revoke({ agent: 'a' }, (n) => n < 2 || n === 7),
  revoke('all', () => true),
  mint('jwt', 'c'),
  6 * DAY + 2 * HOUR,
  // They are over, and removed in several commits.
  (tokens) => tokens.signer.tick(),
  async (tokens) => {
    const { signer } = tokens
    await signer.tick()
  },
]

/** Tells a story in which one process dies at its `at`-th commit; another one does again what it was at, and goes on. */
async function tell(
  make: () => Promise<World>,
  story: readonly (Step | number)[],
  at: number,
  when: 'before' | 'after',
) {
  const world = await make()
  try {
    const store = await world.open()
    const witness: Witness = { store, watcher: open(world, store), handedOut: [] }
    await witness.watcher.ready()
    const crashing = new CrashingStore(store, at, when)
    let tokens = open(world, crashing.store)
    let died = false
    for (const [n, step] of story.entries()) {
      if (typeof step === 'number') await world.pass(step)
      else {
        const failure: unknown = await step(tokens, witness).catch((error: unknown) => error ?? 'failed')
        if (failure instanceof Error) {
          expect(crashing.dead, `step ${n}: ${failure.stack}`).toBe(true)
          expect(died, 'only one process dies').toBe(false)
          died = true
          await look(world, witness, `died ${when} commit ${at}, at step ${n}`)
          tokens = open(world, store)
          await step(tokens, witness)
        }
      }
      await look(world, witness, `died ${when} commit ${at}, after step ${n}`)
    }
    const left = await store.list(revocationKind, { index: 'ends', limit: 10 })
    return { died, revocations: left.items.length, handedOut: witness.handedOut }
  } finally {
    await world.end()
  }
}

describe.each(WORLDS)('a process that dies: %s', { timeout: 120_000 }, (_, make) => {
  it.each(['before', 'after'] as const)(
    '%s a commit of signing keys: no token is lost, and none comes back',
    async (when) => {
      const deaths: number[] = []
      for (let at = 1; at <= MOST_COMMITS; at++) {
        const { died, handedOut } = await tell(make, KEY_STORY, at, when)
        expect(handedOut.map(({ denied }) => denied)).toEqual([...new Array(9).fill(true), false])
        if (!died) break
        deaths.push(at)
      }
      // The first key, announced, taken over, tidied, announced, taken over, replaced, and the revocation.
      expect(deaths).toEqual([1, 2, 3, 4, 5, 6, 7, 8])
    },
  )

  it.each(['before', 'after'] as const)('%s a commit of revocations: what was revoked stays so', async (when) => {
    const deaths: number[] = []
    for (let at = 1; at <= MOST_COMMITS; at++) {
      const { died, revocations, handedOut } = await tell(make, REVOCATION_STORY, at, when)
      expect(handedOut.slice(0, 6).map(({ denied }) => denied)).toEqual(new Array(6).fill(true))
      expect(revocations).toBe(0)
      if (!died) break
      deaths.push(at)
    }
    // The key, four revocations, and four removals.
    expect(deaths.length).toBeGreaterThanOrEqual(9)
    expect(deaths).toEqual(deaths.map((_each, i) => i + 1))
  })
})
