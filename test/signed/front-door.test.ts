import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { Authenticator } from '../../src/http/index.ts'
import { setUp } from '../issuing/fixture.ts'

it('a route takes both kinds, or the one that it accepts', async () => {
  const { tokens } = setUp()
  const { token } = await tokens.signer.mint({ agent: 'a', scopes: ['docs:read'], ttl: '1h', format: 'jwt' })
  const request = { method: 'GET', headers: { authorization: `Bearer ${token}` }, ip: '10.0.0.1', url: '/' }
  const both = new Authenticator(tokens, { scopes: ['docs:read'] })
  expect(await both.authenticate(request, undefined)).toMatchObject({ kind: 'ok' })
  const opaque = new Authenticator(tokens, { scopes: ['docs:read'], accept: ['opaque'] })
  expect(await opaque.authenticate(request, undefined)).toMatchObject({ kind: 'denied', status: 401 })
  expect(() => new Authenticator(tokens, { accept: [] })).toThrow(/accept/)
  expect(() => new Authenticator(tokens, { accept: ['jwt' as 'signed'] })).toThrow(/accept/)
})

it('keys and revocations go into archives, and what was revoked stays so', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tokenwright-signed-'))
  try {
    const one = setUp({ backups: { directory } })
    const mint = () => one.tokens.signer.mint({ agent: 'a', ttl: '1h', format: 'jwt' })
    const [good, bad] = [await mint(), await mint()]
    await one.tokens.signer.revoke({ token: bad.token })
    const { file = '' } = await one.tokens.backups.create()
    const two = setUp({ keys: one.keys, backups: { directory } }, one.clock)
    await two.tokens.backups.restore(file)
    expect(await two.tokens.verify(good.token)).toMatchObject({ ok: true })
    expect(await two.tokens.verify(bad.token)).toMatchObject({ code: 'revoked' })
    // An older archive takes no revocation back, and revives no key that was given up.
    await one.tokens.signer.rotateKey({ compromised: true })
    await one.tokens.signer.revoke('all')
    await one.tokens.backups.restore(file, { mode: 'replace' })
    expect(await one.tokens.verify(good.token)).toMatchObject({ ok: false })
    expect(await one.tokens.verify(bad.token)).toMatchObject({ ok: false })
  } finally {
    await rm(directory, { recursive: true })
  }
})
