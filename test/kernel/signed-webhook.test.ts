import { Buffer } from 'node:buffer'
import { createHmac, createSecretKey, generateKeyPairSync } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'
import { signWebhook, verifyWebhook, type WebhookKey } from '../../src/kernel/signed-webhook.ts'

const NOW = 1_614_265_330_000
const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'
const other = 'whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD'
const message = { id: 'msg_p5jXN8AQM9LWM0D4loKWxJek', timestamp: NOW, body: '{"test": 2432232314}' }

describe('signWebhook', () => {
  it("gives the known answer of the specification's reference libraries", () => {
    expect(signWebhook({ ...message, secret })).toEqual({
      'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
      'webhook-timestamp': '1614265330',
      'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
    })
  })

  it('signs as the formula says, text and bytes alike', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const body = Buffer.from(text)
        const headers = signWebhook({ ...message, secret, body })
        const mac = createHmac('sha256', Buffer.from(secret.slice(6), 'base64'))
        mac.update(Buffer.concat([Buffer.from(`${message.id}.1614265330.`), body]))
        expect(headers['webhook-signature']).toBe(`v1,${mac.digest('base64')}`)
        expect(verifyWebhook({ secret, headers: { ...headers }, body: body.toString(), now: NOW }).ok).toBe(true)
      }),
    )
  })

  it('refuses what would not be safe to sign, without quoting a key', () => {
    for (const id of ['', 'a.b', 'a b', 'a\n', 'x'.repeat(257), 5 as unknown as string]) {
      expect(() => signWebhook({ ...message, secret, id })).toThrow(InvalidInputError)
    }
    for (const timestamp of [Number.NaN, -1, 0, 8.64e18]) {
      expect(() => signWebhook({ ...message, secret, timestamp })).toThrow(InvalidInputError)
    }
    const pair = generateKeyPairSync('ed25519')
    const keys: unknown[] = [
      '',
      'whsec_',
      'whsec_c2hvcnQ=',
      `whsec_${'A'.repeat(92)}`,
      secret.slice(6),
      'whsec_!!!!',
      [],
      Array(11).fill(secret),
      createSecretKey(Buffer.alloc(16)),
      createSecretKey(Buffer.alloc(65)),
      pair.privateKey,
      undefined,
      null,
      5,
    ]
    for (const key of keys) {
      const call = () => signWebhook({ ...message, secret: key as WebhookKey })
      expect(call).toThrow(InvalidInputError)
      if (typeof key === 'string' && key.length > 8) expect(call).not.toThrow(key)
    }
  })
})

describe('verifyWebhook', () => {
  const headers = { ...signWebhook({ ...message, secret }) }
  const verify = (changes: Partial<Parameters<typeof verifyWebhook>[0]> = {}) =>
    verifyWebhook({ secret, headers, body: message.body, now: NOW, ...changes })

  it('accepts what was signed, in whatever form headers and keys come', () => {
    const good = { ok: true, id: message.id, timestamp: NOW }
    expect(verify()).toEqual(good)
    expect(verify({ headers: new Headers(headers) })).toEqual(good)
    expect(
      verify({ headers: Object.fromEntries(Object.entries(headers).map(([k, v]) => [k.toUpperCase(), v])) }),
    ).toEqual(good)
    expect(verify({ body: Buffer.from(message.body) })).toEqual(good)
    expect(verify({ secret: new Secret(secret) })).toEqual(good)
    expect(verify({ secret: createSecretKey(Buffer.from(secret.slice(6), 'base64')) })).toEqual(good)
  })

  it('accepts either key while keys are changed', () => {
    expect(verify({ secret: [other, secret] }).ok).toBe(true)
    const both = { ...signWebhook({ ...message, secret: [secret, other] }) }
    for (const key of [secret, other]) expect(verify({ secret: key, headers: both }).ok).toBe(true)
    const foreign = `v1a,AAAA ${headers['webhook-signature']} v2,x v1,`
    expect(verify({ headers: { ...headers, 'webhook-signature': foreign } }).ok).toBe(true)
  })

  it('refuses every change', () => {
    const bad = { ok: false, reason: 'bad_signature' }
    expect(verify({ secret: other })).toEqual(bad)
    expect(verify({ body: `${message.body} ` })).toEqual(bad)
    expect(verify({ headers: { ...headers, 'webhook-id': 'msg_x' } })).toEqual(bad)
    expect(verify({ headers: { ...headers, 'webhook-timestamp': '1614265331' } })).toEqual(bad)
    const signature = headers['webhook-signature']
    for (let i = 3; i < signature.length; i++) {
      const changed = `${signature.slice(0, i)}${signature[i] === 'A' ? 'B' : 'A'}${signature.slice(i + 1)}`
      const same = Buffer.from(changed.slice(3), 'base64').equals(Buffer.from(signature.slice(3), 'base64'))
      if (!same) expect(verify({ headers: { ...headers, 'webhook-signature': changed } })).toEqual(bad)
    }
    for (const text of ['', 'v1', 'v1,', signature.slice(3), `v2,${signature.slice(3)}`, `${signature},${signature}`]) {
      expect(verify({ headers: { ...headers, 'webhook-signature': text } })).toEqual(bad)
    }
  })

  it('keeps to the tolerance, at its very edges', () => {
    expect(verify({ now: NOW + 300_000 }).ok).toBe(true)
    expect(verify({ now: NOW + 300_001 })).toEqual({ ok: false, reason: 'too_old' })
    expect(verify({ now: NOW - 300_000 }).ok).toBe(true)
    expect(verify({ now: NOW - 300_001 })).toEqual({ ok: false, reason: 'too_new' })
    expect(verify({ now: NOW + 3_600_000, tolerance: '1h' }).ok).toBe(true)
    expect(verify({ now: NOW + 300_001, secret: other })).toEqual({ ok: false, reason: 'bad_signature' })
  })

  it('tells missing from malformed headers', () => {
    for (const name of Object.keys(headers)) {
      expect(verify({ headers: { ...headers, [name]: undefined } })).toEqual({ ok: false, reason: 'missing_header' })
      expect(verify({ headers: { ...headers, [name]: ['a', 'b'] } })).toEqual({ ok: false, reason: 'missing_header' })
      expect(verify({ headers: { ...headers, [name.toUpperCase()]: 'twice' } })).toEqual({
        ok: false,
        reason: 'missing_header',
      })
    }
    const malformed = { ok: false, reason: 'malformed' }
    for (const stamp of ['1614265330.0', '01614265330', '-1', ' 1614265330', '1e9', '9'.repeat(13)]) {
      expect(verify({ headers: { ...headers, 'webhook-timestamp': stamp } })).toEqual(malformed)
    }
    expect(verify({ headers: { ...headers, 'webhook-signature': 'v1,'.repeat(2000) } })).toEqual(malformed)
  })

  it("can't be made to cut the signed text elsewhere", () => {
    // The signed text is the same: id "a", timestamp 5, body "7.x", and id "a.5", timestamp 7, body "x".
    const signed = {
      ...signWebhook({ secret, id: 'a', timestamp: 5000, body: '7.x' }),
      'webhook-id': 'a.5',
      'webhook-timestamp': '7',
    }
    expect(verifyWebhook({ secret, headers: signed, body: 'x', now: 7000 })).toEqual({ ok: false, reason: 'malformed' })
  })
})
