import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { type GithubHandlerOptions, InvalidInputError } from '../../src/index.ts'
import { setUp } from '../issuing/fixture.ts'

const KEY_ID = 'a'.repeat(64)

/** GitHub, as far as it publishes keys. */
class Github {
  keys: { id: string; key: string }[] = []
  asked = 0
  fails: 'no' | 'throws' | 'refuses' | 'nonsense' = 'no'
  readonly fetch: GithubHandlerOptions['fetch'] = async (url) => {
    this.asked += 1
    expect(url).toBe('https://api.github.com/meta/public_keys/secret_scanning')
    if (this.fails === 'throws') throw new TypeError('fetch failed')
    const public_keys = this.keys.map(({ id, key }) => ({ key_identifier: id, key, is_current: true }))
    return {
      ok: this.fails !== 'refuses',
      text: async () => (this.fails === 'nonsense' ? '{}' : JSON.stringify({ public_keys })),
    }
  }

  add(id = KEY_ID, namedCurve = 'prime256v1'): KeyObject {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve })
    this.keys.push({ id, key: publicKey.export({ type: 'spki', format: 'pem' }) as string })
    return privateKey
  }
}

const signed = (body: string | Buffer, key: KeyObject, id = KEY_ID) => ({
  headers: {
    'Github-Public-Key-Identifier': id,
    'GITHUB-PUBLIC-KEY-SIGNATURE': sign('sha256', Buffer.from(body), key).toString('base64'),
  },
  body,
})

function start(onLeak?: GithubHandlerOptions['onLeak']) {
  const world = setUp({ formats: [{ prefix: 'sk_' }] })
  const github = new Github()
  const key = github.add()
  const handle = world.tokens.leaks.github({ fetch: github.fetch, ...(onLeak && { onLeak }) })
  const report = (token: string, extra: object = {}) => JSON.stringify([{ token, type: 'acme', ...extra }])
  const leaks = () => world.events.events.filter(({ name }) => name === 'security.leaked').map(({ payload }) => payload)
  return { ...world, github, key, handle, report, leaks }
}

describe('findings of GitHub', () => {
  it('revoke a live token, raise an alert, and are answered without the token', async () => {
    const { tokens, handle, key, report, leaks } = start()
    const { token, record } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const body = report(token, { url: `https://github.com/o/r/blob/main/${token}.txt`, source: 'content' })
    const answer = await handle(signed(body, key))
    const token_hash = createHash('sha256').update(token).digest('hex')
    expect(answer.status).toBe(200)
    expect(JSON.parse(answer.body)).toEqual([{ token_hash, token_type: 'acme', label: 'true_positive' }])
    expect(await tokens.get({ id: record.id })).toMatchObject({ status: 'revoked', reason: 'found by secret scanning' })
    expect(leaks()).toMatchObject([
      { id: record.id, service: 'A', version: 1, by: 'github', live: true, revoked: true, source: 'content' },
    ])
    expect(leaks()[0]).toMatchObject({ url: 'https://github.com/o/r/blob/main/[redacted].txt' })
    // GitHub may send the same again: nothing more happens.
    expect((await handle(signed(body, key))).status).toBe(200)
    expect(leaks()).toHaveLength(1)
    await tokens.usage.flush()
    expect((await tokens.usage.alerts.query({ signal: 'leaked' })).items).toHaveLength(1)
  })

  it.each(['jwt', 'hmac'] as const)('end the one signed token that leaked (%s)', async (format) => {
    const { tokens, handle, key, report, leaks } = start()
    const mint = (audience?: string) => tokens.signer.mint({ agent: 'builder', ttl: '1h', format, audience })
    const [one, other, elsewhere] = [await mint(), await mint(), await mint('billing')]
    const answer = await handle(
      signed(report(one.token, { source: 'commit', url: `https://x.example/${one.token}` }), key),
    )
    expect(JSON.parse(answer.body)).toMatchObject([{ label: 'true_positive' }])
    expect(await tokens.verify(one.token)).toMatchObject({ code: 'revoked' })
    expect(await tokens.verify(other.token)).toMatchObject({ ok: true })
    const leaked = { id: 'agent:builder', service: 'agent:builder', agent: 'builder', version: 1, by: 'github' }
    expect(leaks()).toEqual([
      {
        ...leaked,
        ...{ at: tokens.clock.now(), jti: one.id, source: 'commit', live: true, revoked: true },
        url: 'https://x.example/[redacted]',
      },
    ])
    expect((await handle(signed(report(elsewhere.token), key))).status).toBe(200)
    expect(leaks()[1]).toMatchObject({ jti: elsewhere.id, live: true, revoked: true })
    // Of another host, and one that is made up.
    const foreign = await setUp({ signed: { issuer: 'x' } }).tokens.signer.mint({ agent: 'a', ttl: '1h', format })
    for (const text of [foreign.token, `${one.token.slice(0, -9)}${'A'.repeat(9)}`])
      expect(JSON.parse((await handle(signed(report(text), key))).body)).toMatchObject([{ label: 'false_positive' }])
    expect(leaks()).toHaveLength(2)
    await tokens.usage.flush()
    const { items } = await tokens.usage.alerts.query({ token: one.id })
    expect(items.map(({ signal }) => signal).sort()).toEqual(['leaked', 'revokedUsed'])
  })

  it('end only the version that leaked where the token lives on without it', async () => {
    const { tokens, handle, key, report } = start()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const { token: next } = await tokens.rotate('A', { grace: '1h' })
    await handle(signed(report(token), key))
    expect(await tokens.verify(token)).toMatchObject({ ok: false })
    expect(await tokens.verify(next)).toMatchObject({ ok: true })
  })

  it('only tell with alarm, or as the host chooses', async () => {
    const quiet = start('alarm')
    const { token } = await quiet.tokens.generate({ service: 'A', prefix: 'sk_' })
    await quiet.handle(signed(quiet.report(token), quiet.key))
    expect(await quiet.tokens.verify(token)).toMatchObject({ ok: true })
    expect(quiet.leaks()).toMatchObject([{ live: true, revoked: false }])

    const seen: unknown[] = []
    const choosing = start(async (finding) => {
      seen.push(finding)
      return finding.token.service === 'A' ? 'revoke' : 'alarm'
    })
    const a = await choosing.tokens.generate({ service: 'A', prefix: 'sk_' })
    const b = await choosing.tokens.generate({ service: 'B', prefix: 'sk_' })
    const body = JSON.stringify([a, b].map(({ token }) => ({ token, type: 'acme' })))
    await choosing.handle(signed(body, choosing.key))
    expect(choosing.leaks()).toMatchObject([
      { service: 'A', revoked: true },
      { service: 'B', revoked: false },
    ])
    for (const { token } of [a, b]) expect(JSON.stringify(seen)).not.toContain(token)
  })

  it('of what is none of ours, has ended, or is a canary, revoke nothing', async () => {
    const { tokens, handle, key, leaks } = start()
    const gone = await tokens.generate({ service: 'GONE', prefix: 'sk_' })
    await tokens.revoke('GONE')
    const trap = await tokens.generate({ service: 'TRAP', prefix: 'sk_', canary: true })
    const body = JSON.stringify(['sk_none', '', gone.token, trap.token].map((token) => ({ token, type: 'acme' })))
    const { body: told } = await handle(signed(body, key))
    expect((JSON.parse(told) as { label: string }[]).map(({ label }) => label)).toEqual([
      ...['false_positive', 'false_positive', 'true_positive', 'true_positive'],
    ])
    expect(leaks()).toMatchObject([
      { service: 'GONE', live: false, revoked: false },
      { service: 'TRAP', live: false, revoked: false },
    ])
    expect(await tokens.get('TRAP')).toMatchObject({ status: 'active' })
  })
})

describe('the proof', () => {
  it('is what GitHub publishes as an example', async () => {
    const { tokens, github, leaks } = start()
    const body =
      '[{"source":"commit","token":"some_token","type":"some_type","url":"https://example.com/base-repo-url/"}]'
    const id = 'bcb53661c06b4728e59d897fb6165d5c9cda0fd9cdf9d09ead458168deb7518c'
    const key = [
      '-----BEGIN PUBLIC KEY-----',
      'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEYAGMWO8XgCamYKMJS6jc/qgvSlAd',
      'AjPuDPRcXU22YxgBrz+zoN19MzuRyW87qEt9/AmtoNP5GrobzUvQSyJFVw==',
      '-----END PUBLIC KEY-----\n',
    ].join('\n')
    github.keys = [{ id, key }]
    const signature = 'MEQCIQDaMKqrGnE27S0kgMrEK0eYBmyG0LeZismAEz/BgZyt7AIfXt9fErtRS4XaeSt/AO1RtBY66YcAdjxji410VQV4xg=='
    const headers = new Headers({ 'Github-Public-Key-Identifier': id, 'Github-Public-Key-Signature': signature })
    const handle = tokens.leaks.github({ fetch: github.fetch })
    const answer = await handle({ headers, body: Buffer.from(body) })
    expect(answer).toMatchObject({ status: 200 })
    expect(JSON.parse(answer.body)).toMatchObject([{ token_type: 'some_type', label: 'false_positive' }])
    expect(await handle({ headers, body: `${body}\n` })).toMatchObject({ status: 401 })
    expect(leaks()).toEqual([])
  })

  it('is refused with any byte of the body changed, another key, or none, before anything is read', async () => {
    const { tokens, handle, key, report, github } = start()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    const good = signed(report(token), key)
    const bytes = Buffer.from(good.body)
    for (let i = 0; i < bytes.length; i++) {
      const changed = Buffer.from(bytes)
      changed[i] = (changed[i] as number) ^ 1
      expect((await handle({ ...good, body: changed })).status).toBe(401)
    }
    const other = new Github().add()
    const k1 = github.add('secp', 'secp256k1')
    const refused = [
      signed(good.body, other),
      signed(good.body, key, 'b'.repeat(64)),
      signed(good.body, k1, 'secp'),
      { ...good, headers: {} },
      { ...good, headers: { ...good.headers, 'GITHUB-PUBLIC-KEY-SIGNATURE': '' } },
      { ...good, headers: { ...good.headers, 'GITHUB-PUBLIC-KEY-SIGNATURE': 'x'.repeat(1e6) } },
      { ...good, headers: { ...good.headers, 'GITHUB-PUBLIC-KEY-SIGNATURE': ['a', 'b'] } },
      { ...good, headers: { ...good.headers, 'Github-Public-Key-Identifier': '__proto__' } },
    ]
    for (const request of refused) expect(await handle(request)).toMatchObject({ status: 401 })
    expect(await tokens.verify(token)).toMatchObject({ ok: true })
    expect((await handle(good)).status).toBe(200)
    expect(await tokens.verify(token)).toMatchObject({ ok: false })
  })

  it('does not help a body that is no report, or too long; a parsed one is the host’s mistake', async () => {
    const { handle, key } = start()
    for (const body of ['', '{}', 'null', '[1]', '[null]', '[{"token":1,"type":"x"}]', '[{"token":"x"}]', '\ufeff[]'])
      expect(await handle(signed(body, key))).toMatchObject({ status: 400 })
    expect(await handle(signed(JSON.stringify(new Array(1001).fill({ token: 'x', type: 'y' })), key))).toMatchObject({
      status: 400,
    })
    expect(await handle(signed(`[${' '.repeat(1_048_576)}]`, key))).toMatchObject({ status: 413 })
    expect(await handle(signed('[]', key))).toMatchObject({ status: 200, body: '[]' })
    await expect(handle({ headers: {}, body: [] as never })).rejects.toThrow(InvalidInputError)
  })
})

describe('the keys', () => {
  it('are fetched once, kept an hour, and asked for at most once a minute for unknown ones', async () => {
    const { handle, key, github, clock } = start()
    const good = signed('[]', key)
    await Promise.all([handle(good), handle(good), handle(good)])
    for (let i = 0; i < 50; i++) expect((await handle(signed('[]', key, `made-up-${i}`))).status).toBe(401)
    expect(github.asked).toBe(1)
    await clock.advance('61s')
    const next = github.add('next')
    expect((await handle(signed('[]', next, 'next'))).status).toBe(200)
    expect(github.asked).toBe(2)
    // A key that was withdrawn isn't believed for longer than an hour.
    github.keys = github.keys.filter(({ id }) => id === 'next')
    expect((await handle(good)).status).toBe(200)
    await clock.advance('61m')
    expect((await handle(good)).status).toBe(401)
  })

  it('that cannot be had make GitHub try again, and are not asked for at each request', async () => {
    const { handle, key, github, clock, events, tokens } = start()
    for (const fails of ['throws', 'refuses', 'nonsense'] as const) {
      github.fails = fails
      github.asked = 0
      for (let i = 0; i < 5; i++) expect((await handle(signed('[]', key))).status).toBe(503)
      expect(github.asked).toBe(1)
      await clock.advance('61s')
    }
    const failed = events.events.filter(({ name }) => name === 'leaks.reportFailed')
    expect(failed[0]?.payload).toMatchObject({ step: 'keys', code: 'TypeError' })
    github.fails = 'no'
    expect((await handle(signed('[]', key))).status).toBe(200)

    const slow = tokens.leaks.github({ fetch: () => new Promise(() => {}) })
    const waiting = slow(signed('[]', key))
    await clock.advance('11s')
    expect((await waiting).status).toBe(503)
  })

  it('a store or choice that fails makes GitHub try again', async () => {
    const { tokens, key, github, report, events } = start()
    const { token } = await tokens.generate({ service: 'A', prefix: 'sk_' })
    for (const onLeak of [
      () => {
        throw new Error(`holds ${token}`)
      },
      () => 'nothing' as never,
    ]) {
      const handle = tokens.leaks.github({ fetch: github.fetch, onLeak })
      const answer = await handle(signed(report(token), key))
      expect(answer).toEqual({ status: 503, body: '{"error":"try again later"}' })
    }
    const failed = events.events.filter(({ name }) => name === 'leaks.reportFailed')
    expect(failed.map(({ payload }) => payload)).toMatchObject([
      { step: 'tokens', code: 'Error' },
      { step: 'tokens', code: 'ERR_INVALID_INPUT' },
    ])
    expect(await tokens.verify(token)).toMatchObject({ ok: true })
  })

  it('need options that can be meant', () => {
    const { tokens, github } = start()
    for (const options of [
      {},
      { fetch: 'x' },
      { fetch: github.fetch, onLeak: 'x' },
      { fetch: github.fetch, keysUrl: 'http://x' },
      { fetch: github.fetch, key: 1 },
    ])
      expect(() => tokens.leaks.github(options as never)).toThrow(InvalidInputError)
  })
})
