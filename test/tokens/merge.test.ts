import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { internPolicy } from '../../src/tokens/policy.ts'
import { endOfToken, type TokenRecord, type TokenVersion, tokenKind } from '../../src/tokens/record.ts'
import { begin, currentOf, endOf, promote, prune, retire, settle, supersede } from '../../src/tokens/versions.ts'

const STEP = 1000
const format = { type: 'api_key', prefix: '', alphabet: 'alphanumeric', length: 64, checksum: true, retrievable: false }

function born(): TokenRecord {
  return {
    id: 't1',
    service: 'A',
    format: format as unknown as TokenRecord['format'],
    policy: internPolicy({ level: 'standard', scopes: [] }),
    createdAt: 0,
    versions: [{ n: 1, state: 'current', createdAt: 0, preview: 'a', digests: { k: 'd1' } }],
  }
}

const proof = (text: string) => ({ preview: text.slice(0, 1), digests: { k: text } })

/** One thing that happens to a token; `name` makes the texts of one history differ from another's. */
type Act = readonly [what: string, amount: number]

function act(token: TokenRecord, [what, amount]: Act, now: number, name: string): TokenRecord {
  if (token.revoked !== undefined) return token
  const { versions, lifetime } = token
  const pending = versions.find((v) => v.state === 'pending')
  const previous = versions.find((v) => v.state === 'previous')
  const fresh = proof(`${name}${now}`)
  const changed = (more: Partial<TokenRecord>): TokenRecord => ({ ...token, ...more, updatedAt: now })
  switch (what) {
    case 'rotate':
      if (pending !== undefined) return token
      return changed({ versions: supersede<TokenVersion>(versions, fresh, lifetime, now, 1 + amount * STEP) })
    case 'emergency':
      return changed({ versions: supersede<TokenVersion>(versions, fresh, lifetime, now, 0) })
    case 'begin':
      if (pending !== undefined) return token
      return changed({ versions: begin<TokenVersion>(versions, fresh, now, now + 1 + amount * STEP) })
    case 'promote':
      return pending === undefined ? token : changed({ versions: promote(versions, lifetime, now, 1 + amount * STEP) })
    case 'retire':
      return previous === undefined ? token : changed({ versions: retire(versions, lifetime, previous.n, now) })
    case 'abandon':
      return pending === undefined ? token : changed({ versions: retire(versions, lifetime, pending.n, now) })
    case 'tidy':
      return { ...token, versions: prune(settle(versions, lifetime, now), now, 3 * STEP) }
    case 'revoke':
      return changed({ revoked: { at: now, reason: 'leak' } })
    case 'disable':
      return changed({ disabled: { at: now } })
    case 'enable': {
      const { disabled: _, ...rest } = token
      return { ...rest, updatedAt: now }
    }
    case 'shorten':
      return changed({ lifetime: { expiresAt: Math.min(lifetime?.expiresAt ?? now + 30 * STEP, now + 9 * STEP) } })
    default:
      return changed({ policy: internPolicy({ level: 'admin', scopes: [`s:${amount}`] }) })
  }
}

/** The token after each act, a second apart. */
function history(start: TokenRecord, acts: readonly Act[], from: number, name: string): TokenRecord[] {
  const states = [start]
  for (const [i, each] of acts.entries()) {
    states.push(act(states.at(-1) as TokenRecord, each, (from + i + 1) * STEP, name))
  }
  return states
}

const anAct: fc.Arbitrary<Act> = fc.tuple(
  fc.constantFrom(
    'rotate',
    'rotate',
    'emergency',
    'begin',
    'promote',
    'retire',
    'abandon',
    'tidy',
    'revoke',
    'disable',
    'enable',
    'shorten',
    'update',
  ),
  fc.nat(6),
)
const someActs = fc.array(anAct, { maxLength: 12 })
const aPrefer = fc.constantFrom('newer' as const, 'archived' as const)

/** The digests that verify at an instant. */
function living(token: TokenRecord, at: number): string[] {
  if (token.revoked !== undefined || token.disabled !== undefined) return []
  return token.versions
    .filter((v) => v.state !== 'retired' && at < endOf(v, token.lifetime))
    .flatMap((v) => Object.values(v.digests))
}

const instants = Array.from({ length: 45 }, (_, i) => i * STEP + STEP / 2)

/** What verifies after the merge and would not verify by the other record, at any time from one on. */
function revived(result: TokenRecord, by: TokenRecord, from: number): string[] {
  return instants.flatMap((at) => {
    if (at < from) return []
    const may = living(by, at)
    return living(result, at).filter((digest) => !may.includes(digest))
  })
}

function isSound(token: TokenRecord): boolean {
  const numbers = token.versions.map((v) => v.n)
  const pending = token.versions.filter((v) => v.state === 'pending')
  return (
    token.versions.filter((v) => v.state === 'current').length === 1 &&
    pending.length <= 1 &&
    new Set(numbers).size === numbers.length &&
    isDeepStrictEqual(
      [...numbers].sort((a, b) => a - b),
      numbers,
    ) &&
    token.versions.every((v) => v.state !== 'previous' || v.graceUntil !== undefined) &&
    token.versions.every((v) => v.state !== 'retired' || v.endedAt !== undefined)
  )
}

describe('merging a token of an archive into the store', () => {
  it('an archive of the same past changes nothing: the store is further', () => {
    fc.assert(
      fc.property(someActs, fc.nat(), (acts, cut) => {
        const states = history(born(), acts, 0, 'a')
        const here = states.at(-1) as TokenRecord
        const archived = states[cut % states.length] as TokenRecord
        // Enabled since: what is enabled in the newer stays so.
        expect(tokenKind.merge(here, archived, 'newer')).toEqual(here)
      }),
      { numRuns: 2000 },
    )
  })

  it('an archive of the future brings the store up to it, but for what the store has disabled', () => {
    fc.assert(
      fc.property(someActs, fc.nat(), (acts, cut) => {
        const states = history(born(), acts, 0, 'a')
        const here = states[cut % states.length] as TokenRecord
        const archived = states.at(-1) as TokenRecord
        const { disabled, ...merged } = tokenKind.merge(here, archived, 'newer') as TokenRecord
        const { disabled: theirs, ...rest } = archived
        // Tidying leaves no date, so either may be the one that was tidied.
        const end = (acts.length + 1) * STEP
        const tidied = ({ versions, lifetime }: TokenRecord) => prune(settle(versions, lifetime, end), end, 3 * STEP)
        expect(tidied(merged)).toEqual(tidied(rest))
        expect({ ...merged, versions: [] }).toEqual({ ...rest, versions: [] })
        expect(disabled).toEqual(here.disabled ?? theirs)
      }),
      { numRuns: 2000 },
    )
  })

  it('never lets live what the store has ended, even where the archived one is preferred', () => {
    fc.assert(
      fc.property(someActs, fc.nat(), (acts, cut) => {
        const states = history(born(), acts, 0, 'a')
        const here = states.at(-1) as TokenRecord
        const archived = states[cut % states.length] as TokenRecord
        const merged = tokenKind.merge(here, archived, 'archived') as TokenRecord
        expect(revived(merged, here, acts.length * STEP)).toEqual([])
        expect(endOfToken(merged)).toBeLessThanOrEqual(endOfToken(here))
      }),
      { numRuns: 3000 },
    )
  })

  it('of two histories that went apart: sound, revoked if either is, and never more alive than the store for what it knows', () => {
    fc.assert(
      fc.property(someActs, someActs, someActs, aPrefer, (common, ours, theirs, prefer) => {
        const fork = history(born(), common, 0, 'c').at(-1) as TokenRecord
        const here = history(fork, ours, common.length, 'h').at(-1) as TokenRecord
        const archived = history(fork, theirs, common.length, 'x').at(-1) as TokenRecord
        const merged = tokenKind.merge(here, archived, prefer) as TokenRecord
        expect(isSound(merged)).toBe(true)
        expect(merged.revoked !== undefined).toBe(here.revoked !== undefined || archived.revoked !== undefined)
        if (here.disabled !== undefined) expect(merged.disabled).toEqual(here.disabled)
        const retired = here.versions.filter((v) => v.state === 'retired').flatMap((v) => Object.values(v.digests))
        for (const at of instants) expect(living(merged, at).filter((d) => retired.includes(d))).toEqual([])
      }),
      { numRuns: 3000 },
    )
  })

  it('merging the result with the same archive again changes nothing more', () => {
    fc.assert(
      fc.property(someActs, someActs, someActs, aPrefer, (common, ours, theirs, prefer) => {
        const fork = history(born(), common, 0, 'c').at(-1) as TokenRecord
        const here = history(fork, ours, common.length, 'h').at(-1) as TokenRecord
        const archived = history(fork, theirs, common.length, 'x').at(-1) as TokenRecord
        const once = tokenKind.merge(here, archived, prefer) as TokenRecord
        expect(tokenKind.merge(once, archived, prefer)).toEqual(once)
      }),
      { numRuns: 3000 },
    )
  })

  const at = (n: number, more: Partial<TokenRecord>): TokenRecord => ({ ...born(), updatedAt: n, ...more })
  const v = (n: number, state: TokenVersion['state'], more: Partial<TokenVersion> = {}): TokenVersion => ({
    n,
    state,
    createdAt: n,
    preview: 'a',
    digests: { k: `d${n}` },
    ...more,
  })

  const table: readonly {
    readonly what: string
    readonly here: TokenRecord
    readonly archived: TokenRecord
    readonly newer: Partial<TokenRecord>
    readonly preferred: Partial<TokenRecord>
  }[] = [
    {
      what: 'revoked in the archive only',
      here: at(9, {}),
      archived: at(5, { revoked: { at: 5, reason: 'leak' } }),
      newer: { revoked: { at: 5, reason: 'leak' } },
      preferred: { revoked: { at: 5, reason: 'leak' } },
    },
    {
      what: 'enabled here since the archive was made',
      here: at(9, {}),
      archived: at(5, { disabled: { at: 5 } }),
      newer: { updatedAt: 9 },
      preferred: { disabled: { at: 5 } },
    },
    {
      what: 'the grace was shortened here',
      here: at(9, { versions: [v(1, 'previous', { graceUntil: 50 }), v(2, 'current')] }),
      archived: at(5, { versions: [v(1, 'previous', { graceUntil: 90 }), v(2, 'current')] }),
      newer: { versions: [v(1, 'previous', { graceUntil: 50 }), v(2, 'current')] },
      preferred: { versions: [v(1, 'previous', { graceUntil: 50 }), v(2, 'current')] },
    },
    {
      what: 'superseded here since: the archive’s current version keeps its deadline',
      here: at(9, { versions: [v(1, 'previous', { graceUntil: 50 }), v(2, 'current')] }),
      archived: at(5, { versions: [v(1, 'current')] }),
      newer: { versions: [v(1, 'previous', { graceUntil: 50 }), v(2, 'current')] },
      preferred: { versions: [v(1, 'previous', { graceUntil: 50 }), v(2, 'current')] },
    },
    {
      what: 'a version that began here since the archive ends where the archived one is preferred, its number taken',
      here: at(9, { versions: [v(1, 'current'), v(2, 'pending', { pendingUntil: 99 })] }),
      archived: at(5, { versions: [v(1, 'current')] }),
      newer: { versions: [v(1, 'current'), v(2, 'pending', { pendingUntil: 99 })] },
      preferred: {
        versions: [v(1, 'current'), v(2, 'retired', { supersededAt: 2, endedAt: 2, ended: 'revoked' })],
      },
    },
    {
      what: 'an end that was set here since',
      here: at(9, { lifetime: { expiresAt: 40 } }),
      archived: at(5, { lifetime: { expiresAt: 80, grace: 3 } }),
      newer: { lifetime: { expiresAt: 40 } },
      preferred: { lifetime: { expiresAt: 40, grace: 3 } },
    },
    {
      what: 'digests under another key were added on either side',
      here: at(9, { versions: [v(1, 'current', { digests: { k: 'd1', new: 'e1' } })] }),
      archived: at(5, { versions: [v(1, 'current', { digests: { k: 'd1', old: 'c1' } })] }),
      newer: { versions: [v(1, 'current', { digests: { k: 'd1', new: 'e1', old: 'c1' } })] },
      preferred: { versions: [v(1, 'current', { digests: { k: 'd1', new: 'e1', old: 'c1' } })] },
    },
    {
      what: 'the name was given up in the archive',
      here: at(4, {}),
      archived: at(5, { nameReleased: true }),
      newer: { nameReleased: true },
      preferred: { nameReleased: true },
    },
  ]

  for (const { what, here, archived, newer, preferred } of table) {
    it(what, () => {
      const merged = tokenKind.merge(here, archived, 'newer') as TokenRecord
      expect(merged).toMatchObject(newer)
      expect(merged.disabled).toEqual(newer.disabled)
      expect(tokenKind.merge(here, archived, 'archived')).toMatchObject(preferred)
      expect(tokenKind.merge(undefined, archived, 'newer')).toBe(archived)
      expect(currentOf((tokenKind.merge(here, archived, 'archived') as TokenRecord).versions).state).toBe('current')
    })
  }
})
