import { inspect } from 'node:util'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { TimeLimitError } from '../../src/kernel/time-limit.ts'
import type { VaultFailureKind, VaultOperation } from '../../src/vault/errors.ts'
import { factsOf, kindOf, redacted, requestError, retryAfterOf, VERDICTS } from '../../src/vault/failure.ts'
import { VaultTokenManager, type VaultTokenManagerOptions } from '../../src/vault/index.ts'
import { readLogin, readLookup } from '../../src/vault/token-facts.ts'

/** An error as node-vault makes them. */
function nodeVaultError(statusCode: number, ...errors: string[]): Error {
  return Object.assign(new Error(errors[0] ?? `Status ${statusCode}`), { response: { statusCode, body: { errors } } })
}

const listed = (text: string) => `1 error occurred:\n\t* ${text}\n\n`

type Row = readonly [operation: VaultOperation, error: unknown, kind: VaultFailureKind, verdict: string]

/** The decision table: what a server really says, and what follows. */
const TABLE: readonly Row[] = [
  ['renew', Object.assign(new Error('x'), { code: 'ECONNREFUSED' }), 'network', 'retry'],
  ['renew', Object.assign(new Error('x'), { code: 'ECONNRESET' }), 'network', 'retry'],
  ['renew', new TypeError('fetch failed', { cause: { code: 'ENOTFOUND' } }), 'network', 'retry'],
  ['renew', new TypeError('fetch failed'), 'network', 'retry'],
  ['renew', Object.assign(new Error('x'), { code: 'ECONNABORTED' }), 'timeout', 'retry'],
  ['renew', new TimeLimitError(5), 'timeout', 'retry'],
  ['renew', nodeVaultError(502), 'unavailable', 'retry'],
  ['renew', nodeVaultError(504), 'unavailable', 'retry'],
  ['renew', nodeVaultError(500, 'internal error'), 'unavailable', 'retry'],
  ['renew', nodeVaultError(503, 'Vault is sealed'), 'sealed', 'retry'],
  ['renew', nodeVaultError(503, 'API access to this namespace has been locked'), 'unavailable', 'retry'],
  ['renew', nodeVaultError(429, 'request path "x": rate limit quota exceeded'), 'rate_limited', 'retry'],
  ['renew', nodeVaultError(412, 'required index state not present'), 'behind', 'retry_soon'],
  ['renew', nodeVaultError(400, 'lease is not renewable'), 'not_renewable', 'stop_renewing'],
  ['renew', nodeVaultError(400, 'batch tokens cannot be renewed'), 'not_renewable', 'stop_renewing'],
  ['renew', nodeVaultError(400, 'invalid lease ID'), 'not_renewable', 'stop_renewing'],
  ['renew', nodeVaultError(400, 'lease expired'), 'dead', 'dead'],
  ['renew', nodeVaultError(400, 'token not found'), 'dead', 'dead'],
  ['renew_lease', nodeVaultError(400, 'lease not found'), 'dead', 'dead'],
  ['renew', nodeVaultError(400, 'Field validation failed'), 'config', 'retry_slowly'],
  ['renew', nodeVaultError(403, 'permission denied'), 'auth', 'confirm'],
  ['renew', nodeVaultError(403, listed('permission denied')), 'auth', 'confirm'],
  ['lookup', nodeVaultError(403, 'permission denied', 'invalid token'), 'auth', 'confirm'],
  ['renew', nodeVaultError(404), 'config', 'retry_slowly'],
  ['renew', nodeVaultError(405, listed('unsupported operation')), 'config', 'retry_slowly'],
  ['renew', nodeVaultError(307), 'config', 'retry_slowly'],
  ['renew', nodeVaultError(500, 'past the max TTL, cannot renew'), 'refused', 'replace'],
  ['renew', nodeVaultError(500, listed('failed to renew entry: role "x" does not exist')), 'refused', 'replace'],
  ['renew', nodeVaultError(500, 'cannot renew a token across namespaces'), 'refused', 'replace'],
  ['login', nodeVaultError(400, 'invalid role or secret ID'), 'credentials', 'retry'],
  ['login', nodeVaultError(403, 'permission denied'), 'credentials', 'retry'],
  ['unwrap', nodeVaultError(400, 'wrapping token is not valid or does not exist'), 'credentials', 'retry'],
  ['login', nodeVaultError(404, 'namespace not found'), 'config', 'retry_slowly'],
  // A mistake in the client is no failure of the network.
  ['renew', new TypeError('x is not a function'), 'protocol', 'retry_slowly'],
  ['renew', 'a text', 'protocol', 'retry_slowly'],
  ['renew', undefined, 'protocol', 'retry_slowly'],
]

describe('the decision table', () => {
  it.each(TABLE)('%s: %s → %s', (operation, error, kind, verdict) => {
    const failure = requestError(error, operation)
    expect([failure.kind, VERDICTS[failure.kind]]).toEqual([kind, verdict])
    expect(failure.operation).toBe(operation)
  })

  it('says which failures pass by themselves', () => {
    const passing = TABLE.filter(([operation, error]) => requestError(error, operation).retryable).map(
      ([, , kind]) => kind,
    )
    expect([...new Set(passing)].toSorted()).toEqual([
      'behind',
      'network',
      'rate_limited',
      'sealed',
      'timeout',
      'unavailable',
    ])
  })

  it('has an answer to any status and any words', () => {
    fc.assert(
      fc.property(fc.integer({ min: 100, max: 599 }), fc.array(fc.string()), (status, messages) => {
        expect(Object.keys(VERDICTS)).toContain(kindOf({ status, messages }, 'renew'))
      }),
    )
  })

  it('leaves what was judged as it is', () => {
    const judged = requestError(nodeVaultError(400, 'invalid role or secret ID'), 'login')
    expect(requestError(judged, 'lookup')).toBe(judged)
  })
})

describe('what is read of answers', () => {
  it('a look-up in the last second, without a word of how long it was granted: all of it is that second', () => {
    const facts = readLookup({ data: { ttl: 0, expire_time: '2030-01-01T00:00:00Z', renewable: true } })
    expect(facts).toMatchObject({ ttlMs: 999, fullMs: 999, nonExpiring: false })
  })

  it('a login that grants less than nothing grants no token without an end', () => {
    const auth = { client_token: 's.x', lease_duration: -1, renewable: true }
    expect(() => readLogin({ auth })).toThrow('no token with a lease')
    expect(readLogin({ auth: { ...auth, lease_duration: 0 } }).facts.nonExpiring).toBe(true)
  })
})

describe('what errors show', () => {
  const token = 's.abcdefghijklmnopqrstuvwx'
  const secretId = '0d9113d1-c94f-49b5-a11e-06b970b0a918'

  it('no token and nothing that was sent, even where a server repeats it', () => {
    const error = requestError(nodeVaultError(400, `no such thing: ${token} and ${secretId}`), 'login', [secretId])
    const axios = Object.assign(new Error('connect ECONNREFUSED'), {
      code: 'ECONNREFUSED',
      config: { headers: { 'X-Vault-Token': token }, data: JSON.stringify({ secret_id: secretId }) },
    })
    const shown = [error, requestError(axios, 'renew', [token])].map(
      (each) => inspect(each, { depth: 9, showHidden: true }) + JSON.stringify(each) + each.stack + each.messages,
    )
    expect(shown.join()).not.toContain(token)
    expect(shown.join()).not.toContain(secretId)
    expect(error.message).toContain('[secret]')
  })

  it('nothing of a text that holds a shorter one that was sent too', () => {
    const sent = ['admin', 'admin-Xy-42-secret']
    for (const secrets of [sent, sent.toReversed()]) {
      expect(redacted('wrong: admin-Xy-42-secret of admin', secrets)).toBe('wrong: [secret] of [secret]')
    }
  })

  it('no credentials of a login of the host’s own, though they were deeper in what was sent', async () => {
    const client = {
      token: '',
      read: () => Promise.reject(new Error('unused')),
      write: (_: string, data: unknown) =>
        Promise.reject(nodeVaultError(400, `refused: ${JSON.stringify(data)} (password-in-depth-1)`)),
    }
    const login = ({ post }: { post(path: string, data: object): Promise<unknown> }) =>
      post('auth/own/login', { credentials: { list: ['password-in-depth-1'] } })
    const manager = new VaultTokenManager({ client, login, startTimeout: 0 } as VaultTokenManagerOptions)
    const error = await manager.start().catch((reason: unknown) => reason)
    expect(error).toMatchObject({ kind: 'credentials' })
    expect(inspect(error, { showHidden: true })).not.toContain('in-depth')
  })

  it('an error of the library’s own isn’t taken for the network’s', () => {
    const own = requestError(new InvalidInputError('role', 'is no role', 'give one'), 'login')
    expect([own.kind, own.retryable, own.networkCode]).toEqual(['protocol', false, undefined])
  })

  it('messages are bounded', () => {
    expect(redacted('x'.repeat(100_000), []).length).toBe(300)
    const many = requestError(nodeVaultError(400, ...Array.from({ length: 50 }, () => 'word')), 'read')
    expect(many.messages).toHaveLength(3)
  })

  it('Retry-After in seconds, at most an hour; nothing else', () => {
    expect(retryAfterOf({ 'retry-after': '3' })).toBe(3000)
    expect(retryAfterOf({ 'retry-after': '0' })).toBe(0)
    expect(retryAfterOf({ 'retry-after': '999999' })).toBe(3_600_000)
    for (const value of ['soon', '-1', '1.5', 'Wed, 21 Oct 2026 07:28:00 GMT', undefined]) {
      expect(retryAfterOf({ 'retry-after': value })).toBeUndefined()
    }
    expect(factsOf({ response: { status: 429, headers: { 'retry-after': '2' } } })).toMatchObject({
      status: 429,
      retryAfterMs: 2000,
    })
  })
})
