import { describe, expect, it } from 'vitest'
import { importKey, openJwt, signJwt, thumbprint } from '../../src/signed/jwt.ts'
import { seededRandom } from '../../src/testing/index.ts'
import { setUp } from '../issuing/fixture.ts'

// RFC 7515, appendix A.1 and A.3 (the first is RFC 7519's example too, section 3.1); RFC 8037, appendix A.
const JOE = 'eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ'
const HS256 = `eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.${JOE}.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk`
const HS256_KEY = {
  kty: 'oct',
  k: 'AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow',
}
const ES256 = `eyJhbGciOiJFUzI1NiJ9.${JOE}.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q`
const ES256_KEY = {
  ...{ kty: 'EC', crv: 'P-256' },
  x: 'f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU',
  y: 'x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0',
}
const EDDSA =
  'eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg'
const EDDSA_KEY = { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo' }
const EDDSA_D = 'nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A'

const GOLDEN_ID = '0VfQaMQy003PjpW28gUz'
const GOLDEN =
  'v1.eyJpc3MiOiJ0b2tlbndyaWdodCIsImF1ZCI6InRva2Vud3JpZ2h0Iiwic3ViIjoiYnVpbGRlciIsImNsaWVudF9pZCI6ImJ1aWxkZXIiLCJzY29wZSI6ImRvY3M6cmVhZCIsInR3Ijp7ImxldmVsIjoicmVhZF9vbmx5In0sImpvYiI6IsO8In0.0VfQaMQy003PjpW28gUz0tqxpc00tqxq102027-010MBEgepC6ZTeNhsB2e9Rx1IffjAtpf3NCsAGOILfna0'

describe('the vectors of the RFCs', () => {
  it.each([
    ['HS256', HS256, HS256_KEY, '{"iss":"joe"'],
    ['ES256', ES256, ES256_KEY, '{"iss":"joe"'],
    ['EdDSA', EDDSA, EDDSA_KEY, 'Example of Ed25519 signing'],
  ] as const)('are proved: %s', async (algorithm, text, jwk, payload) => {
    const key = await importKey(jwk, algorithm)
    expect((await openJwt(text, key, algorithm))?.startsWith(payload)).toBe(true)
    expect(await openJwt(`${text.slice(0, -6)}AAAAAA`, key, algorithm)).toBeUndefined()
    for (const other of ['HS256', 'ES256', 'EdDSA'] as const) {
      if (other !== algorithm) expect(await openJwt(text, key, other)).toBeUndefined()
    }
  })

  it('names a key by its thumbprint (RFC 8037, A.3)', () => {
    expect(thumbprint(EDDSA_KEY)).toBe('kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k')
  })

  it('signs with the key of RFC 8037, A.1', async () => {
    const signed = await signJwt('{}', await importKey({ ...EDDSA_KEY, d: EDDSA_D }, 'EdDSA'), 'EdDSA', 'k')
    expect(await openJwt(signed, await importKey(EDDSA_KEY, 'EdDSA'), 'EdDSA')).toBe('{}')
  })

  it('knows none of them as a token of ours, nor the unsecured one of RFC 7519, 6.1', async () => {
    const { tokens } = setUp()
    for (const text of [HS256, ES256, EDDSA, `eyJhbGciOiJub25lIn0.${JOE}.`, `eyJhbGciOiJub25lIn0.${JOE}.x`]) {
      expect((await tokens.verify(text)).ok).toBe(false)
    }
  })
})

describe('the compact form', () => {
  it('is as it was: a token of a fixed ring and time', async () => {
    const keys = [{ id: '2027-01', secret: 'a golden secret, 0123456789 abcdefghijklmnop' }]
    const { tokens } = setUp({ keys, random: seededRandom('golden') })
    const { token, id } = await tokens.signer.mint({
      ...{
        agent: 'builder',
        scopes: ['docs:read'],
        ttl: '15m',
        format: 'hmac',
        level: 'read_only',
        claims: { job: 'ü' },
      },
    })
    expect([token, id]).toEqual([GOLDEN, GOLDEN_ID])
    const [mark, grant = '', tail = ''] = token.split('.')
    expect(mark).toBe('v1')
    expect(Buffer.from(grant, 'base64url').toString()).toBe(
      '{"iss":"tokenwright","aud":"tokenwright","sub":"builder","client_id":"builder","scope":"docs:read","tw":{"level":"read_only"},"job":"ü"}',
    )
    // 1798761600 and 1798762500 in base 36.
    expect(tail.slice(0, -43)).toBe(`${id}0tqxpc00tqxq102027-01`)
    // What another signer of the same ring says of it.
    expect(await setUp({ keys }).tokens.verify(GOLDEN)).toMatchObject({ ok: true })
  })
})
