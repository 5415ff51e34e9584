import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import { fakeClock } from 'tokenwright/testing'
import { expect, it } from 'vitest'
import { createApp } from './app.ts'

it('refuses a token after its 30 days', async () => {
  const clock = fakeClock()
  const tokens = new Tokenwright({ store: new MemoryTokenStore({ clock }), keys: generateSecret(), clock })
  const { token } = await tokens.generate({ service: 'SHOP', scopes: ['orders:read'], expiresIn: '30d' })
  const server = createApp(tokens).listen(0)
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}/orders`
  const get = () => fetch(url, { headers: { Authorization: `Bearer ${token}` } })
  expect((await get()).status).toBe(200)
  await clock.advance('30d')
  expect(await (await get()).json()).toMatchObject({ status: 401, code: 'expired' })
  server.close()
})
