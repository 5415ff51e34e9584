import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { InvalidInputError, publishToFile, publishToWebhook, verifyWebhook, WebhookError } from '../../src/index.ts'
import { setDotenv, UNWRITABLE } from '../../src/rotation/dotenv.ts'
import { setUp } from '../issuing/fixture.ts'

let folder = ''
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tokenwright-hooks-'))
})
afterAll(() => rm(folder, { recursive: true }))

describe('setDotenv', () => {
  it.each([
    ['', "A='b c'\n", 'b c'],
    ['A=1\n', 'A=2\n', '2'],
    ['# A=0\nA=1 # old\nB=x\n', '# A=0\nA=2\nB=x\n', '2'],
    ['B=x', 'B=x\nA=2\n', '2'],
    ['export A="1"\r\nB=x\r\n', 'export A=2\r\nB=x\r\n', '2'],
    ['A=1\nAA=1\nA=0\n', 'A=2\nAA=1\n', '2'],
    ['K="line\nA=inner\nend"\nA=1\n', 'K="line\nA=inner\nend"\nA=2\n', '2'],
    ['A="line\nmore\nend"\nB=1\n', 'A=2\nB=1\n', '2'],
    ['A=1\n', "A='a#$b'\n", 'a#$b'],
    ['A=1\n', 'A="it\'s"\n', "it's"],
    // A shell would read it as a home folder.
    ['A=1\n', "A='~root/x'\n", '~root/x'],
    // A quote that nothing closes is a part of the value.
    ["A='tis\nB=1\n", 'A=2\nB=1\n', '2'],
    ["B='tis\nA=1\nC=1\n", "B='tis\nA=2\nC=1\n", '2'],
  ])('%j becomes %j', (text, expected, value) => {
    expect(setDotenv(text, 'A', value)).toBe(expected)
  })

  it('says when no quoting would do', () => {
    expect(setDotenv('', 'A', `'"`)).toBe(UNWRITABLE)
    expect(setDotenv('', 'A', "'$")).toBe(UNWRITABLE)
  })

  it('is idempotent, and leaves other keys alone', () => {
    const name = fc.constantFrom('A', 'B', 'C', 'AB')
    const value = fc.string({ unit: fc.constantFrom(...'abcXYZ019_-#$') })
    const line = fc.tuple(name, value).map(([key, text]) => `${key}='${text}'`)
    fc.assert(
      fc.property(fc.array(line), value, (lines, text) => {
        const before = lines.map((one) => `${one}\n`).join('')
        const once = setDotenv(before, 'A', text) as string
        expect(setDotenv(once, 'A', text)).toBe(once)
        const others = (all: string) => all.split('\n').filter((one) => !one.startsWith('A='))
        expect(others(once)).toEqual(others(before))
        expect(once.split('\n').filter((one) => one.startsWith('A='))).toHaveLength(1)
      }),
    )
  })
})

describe('publishToFile', () => {
  it('writes the value as a whole file that only its owner reads, and leaves nothing beside it', async () => {
    const path = join(folder, 'token')
    const { tokens } = setUp({ rotation: { hooks: { A: { publish: publishToFile({ path }) } } } })
    await tokens.generate({ service: 'A' })
    const { token } = await tokens.rotate('A')
    expect(await readFile(path, 'utf8')).toBe(token)
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    expect((await readdir(folder)).filter((name) => name.includes('tmp'))).toEqual([])
  })

  it('sets keys of one dotenv file for several services at once', async () => {
    const path = join(folder, 'app.env')
    await writeFile(path, 'PORT=80\nA_TOKEN=old\n')
    await chmod(path, 0o644)
    const hook = (key: string) => ({ publish: publishToFile({ path, key }) })
    const { tokens } = setUp({ rotation: { hooks: { A: hook('A_TOKEN'), B: hook('B_TOKEN'), C: hook('C_TOKEN') } } })
    for (const service of ['A', 'B', 'C']) await tokens.generate({ service })
    const rotated = await Promise.all(['A', 'B', 'C'].map((service) => tokens.rotate(service)))
    const lines = (await readFile(path, 'utf8')).trim().split('\n').sort()
    expect(lines).toEqual(['PORT=80', ...rotated.map(({ token }, i) => `${'ABC'.charAt(i)}_TOKEN=${token}`)].sort())
    expect((await stat(path)).mode & 0o777).toBe(0o600)
  })

  it('what it can’t do is a failed attempt, and the old version stays current', async () => {
    const path = join(folder, 'nowhere', 'token')
    const { tokens } = setUp({ rotation: { hooks: { A: { publish: publishToFile({ path }) } }, attempts: 1 } })
    await tokens.generate({ service: 'A' })
    const { rotation } = await tokens.rotate('A')
    expect(rotation).toMatchObject({ status: 'stalled', failure: { code: 'ERR_ATOMIC_WRITE' } })
  })

  it('leaves a file as it is whose other lines it couldn’t give back, or that is too long', async () => {
    const path = join(folder, 'foreign.env')
    const { tokens } = setUp({
      rotation: { attempts: 1, hooks: { A: { publish: publishToFile({ path, key: 'A' }) } } },
    })
    await tokens.generate({ service: 'A' })
    for (const foreign of [Buffer.from('B=caf\xe9\nA=1\n', 'latin1'), Buffer.alloc(1024 * 1024 + 1, 'x')]) {
      await writeFile(path, foreign)
      const { rotation } = await tokens.rotate('A', { grace: 0 })
      expect(rotation).toMatchObject({ status: 'stalled', failure: { code: 'ERR_INVALID_INPUT' } })
      expect((await readFile(path)).equals(foreign)).toBe(true)
    }
  })

  it('an attempt that was given up while it waited writes nothing', async () => {
    const path = join(folder, 'late')
    const publish = publishToFile({ path })
    const context = { service: 'A', version: 2, rotationId: 'r', attempt: 1, fence: 1, record: {} as never }
    const given = new AbortController()
    const first = publish({ ...context, token: 'first', signal: new AbortController().signal })
    const late = publish({ ...context, token: 'late', signal: given.signal })
    given.abort(new Error('too late'))
    await expect(late).rejects.toThrow('too late')
    await first
    expect(await readFile(path, 'utf8')).toBe('first')
  })

  it('takes the path by service, and refuses options that can’t be used', async () => {
    const publish = publishToFile({ path: ({ service }) => join(folder, `${service}.txt`) })
    const { tokens } = setUp({ rotation: { hooks: { '*': { publish } } } })
    await tokens.generate({ service: 'A' })
    const { token } = await tokens.rotate('A')
    expect(await readFile(join(folder, 'A.txt'), 'utf8')).toBe(token)
    for (const options of [
      { path: '' },
      { path: 7 },
      { path: 'a', key: '1A' },
      { path: 'a', mode: -1 },
      { pth: 'a' },
    ]) {
      expect(() => publishToFile(options as never)).toThrow(InvalidInputError)
    }
  })
})

describe('publishToWebhook', () => {
  const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`

  it('posts the value, signed, to a receiver that can check it', async () => {
    const received: { headers: IncomingMessage['headers']; body: string }[] = []
    const statuses = [503, 307, 204, 422, 200]
    const server = createServer(async (request, response) => {
      let body = ''
      for await (const chunk of request) body += String(chunk)
      received.push({ headers: request.headers, body })
      response.writeHead(statuses.shift() ?? 200, { location: 'http://127.0.0.1:1/' }).end('thanks')
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    try {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/tokens`
      const clock = setUp().clock
      const publish = publishToWebhook({ url, secret, clock, headers: { 'x-team': 'a' } })
      const { tokens } = setUp({ rotation: { hooks: { A: { publish } } } }, clock)
      await tokens.generate({ service: 'A' })
      const rotating = tokens.rotate('A', { rotationId: 'deploy:1.2@eu' })
      for (let i = 0; i < 200 && received.length < 3; i++) {
        await new Promise((resolve) => setTimeout(resolve, 5))
        await clock.advance(100)
      }
      const { token, rotation } = await rotating
      expect(rotation.status).toBe('done')
      expect(received).toHaveLength(3)
      for (const { headers, body } of received) {
        const checked = verifyWebhook({ secret, headers, body, now: clock.now(), tolerance: '1h' })
        expect(checked).toMatchObject({ ok: true, id: 'deploy-1-2-eu-2' })
        expect(JSON.parse(body)).toEqual({
          type: 'token.publish',
          service: 'A',
          token,
          version: 2,
          rotation: 'deploy:1.2@eu',
        })
        expect(headers['x-team']).toBe('a')
      }
      // 422: another value is wanted.
      const again = await tokens.rotate('A')
      expect(again.rotation).toMatchObject({ status: 'done', regenerated: 1 })
    } finally {
      server.close()
    }
  })

  it('tells of a receiver that refuses, without the value', async () => {
    const publish = publishToWebhook({
      url: 'https://a.example',
      secret,
      fetch: async () => new Response('no', { status: 500 }),
    })
    const context = {
      rotationId: 'r',
      service: 'A',
      token: 'tok_canary',
      version: 2,
      signal: new AbortController().signal,
    }
    const error = await publish(context as never).catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(WebhookError)
    expect(error).toMatchObject({ status: 500, code: 'ERR_WEBHOOK' })
    expect(String(error)).not.toContain('tok_canary')
  })

  it('refuses what fetch would tell in the message of its error, and lets no header stand beside its own', async () => {
    const url = 'https://consumer.example/tokens'
    const refused = (options: object) => {
      try {
        publishToWebhook({ url, secret, ...options })
      } catch (error) {
        return error
      }
      return undefined
    }
    for (const options of [
      { url: 'https://name:hunter2@consumer.example/' },
      { headers: { authorization: 'hunter2\nx' } },
    ]) {
      expect(refused(options)).toBeInstanceOf(InvalidInputError)
      expect(String(refused(options))).not.toContain('hunter2')
    }
    let sent = new Headers()
    const fetch = async (_: unknown, init?: RequestInit) => {
      sent = new Headers(init?.headers)
      return new Response()
    }
    const publish = publishToWebhook({ url, secret, headers: { 'Webhook-Id': 'mine', 'Content-Type': 'x' }, fetch })
    const context = { service: 'A', version: 2, rotationId: 'r', attempt: 1, fence: 1, record: {} as never }
    await publish({ ...context, token: 't', signal: new AbortController().signal })
    expect([sent.get('webhook-id'), sent.get('content-type')]).toEqual(['r-2', 'application/json'])
  })

  it('refuses to send a value in the clear, and keys that can’t be used', () => {
    for (const url of ['http://consumer.example', 'ftp://x.example', 'nonsense']) {
      expect(() => publishToWebhook({ url, secret })).toThrow(InvalidInputError)
    }
    expect(() => publishToWebhook({ url: 'http://consumer.example', secret, allowInsecure: true })).not.toThrow()
    expect(() => publishToWebhook({ url: 'https://a.example', secret: 'short' })).toThrow(InvalidInputError)
    expect(() => publishToWebhook({ url: 'https://a.example', secret, retries: 3 } as never)).toThrow(InvalidInputError)
  })
})
