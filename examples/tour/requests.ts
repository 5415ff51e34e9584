import { setTimeout as sleep } from 'node:timers/promises'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import type { Service } from './app.ts'
import { call } from './client.ts'
import type { Texts } from './issuing.ts'
import type { Transcript } from './transcript.ts'

/** What the chapters work with. */
export interface Tour {
  readonly tokens: Tokenwright
  readonly service: Service
  readonly transcript: Transcript
  readonly texts: Texts
}

/** Requests that pass and requests that are refused, one of each sort. */
export async function makeRequests(tour: Tour): Promise<void> {
  await good(tour)
  await unproven(tour)
  await notAllowed(tour)
  await limited(tour)
  await ended(tour)
}

async function good({ service, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Requests that pass')
  for (const name of ['READER', 'GITHUB', 'OAUTH', 'SIGNING_SECRET', 'READ_ALOUD', 'LEGACY']) {
    const { said } = await call(service, '/ping', texts.of(name))
    transcript.step(`GET /ping with ${name}`, '200', said)
  }
  const orders = await call(service, '/orders', texts.of('READER'))
  transcript.step('GET /orders with READER, which has orders:read', '200', orders.said)
  const header = await call(service, '/orders', texts.of('READER'), { header: 'X-API-Key' })
  transcript.step('GET /orders with READER in X-API-Key', '200', header.said)
}

async function unproven({ service, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Requests without a token of ours')
  const none = await call(service, '/orders')
  transcript.step('GET /orders without a token', '401 missing', none.said)
  transcript.step('its challenge', 'Bearer realm="api"', none.headers.get('WWW-Authenticate') ?? 'none')

  const text = texts.of('READER')
  const mistyped = text.slice(0, -20) + (text.at(-20) === 'x' ? 'y' : 'x') + text.slice(-19)
  transcript.step(
    'GET /orders with READER, one character mistyped',
    '401 malformed',
    (await call(service, '/orders', mistyped)).said,
  )

  // A perfect token, of another environment: other keys, another store.
  const elsewhere = new Tokenwright({ store: new MemoryTokenStore(), keys: generateSecret() })
  const foreign = await elsewhere.generate({ service: 'READER', prefix: 'sk_live_' })
  await elsewhere.close()
  transcript.step(
    'GET /orders with a token of another environment',
    '401 unknown',
    (await call(service, '/orders', foreign.token)).said,
  )
}

async function notAllowed({ service, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Requests that the token may not make')
  const scope = await call(service, '/orders', texts.of('READER'), { method: 'POST' })
  transcript.step('POST /orders with READER, which lacks orders:write', '403 insufficient_scope', scope.said)
  transcript.step('the scope that is missing', '["orders:write"]', JSON.stringify(scope.body['missingScopes']))
  const level = await call(service, '/orders', texts.of('VIEWER'), { method: 'POST' })
  transcript.step('POST /orders with VIEWER, which has orders:* but is read_only', '403 level_denied', level.said)
  transcript.step('GET /orders with VIEWER', '200', (await call(service, '/orders', texts.of('VIEWER'))).said)
  const office = await call(service, '/ping', texts.of('OFFICE'))
  transcript.step('GET /ping from the loopback with OFFICE, for 10.0.0.0/8', '403 ip_denied', office.said)
  const loopback = await call(service, '/ping', texts.of('LOOPBACK'))
  transcript.step('GET /ping from the loopback with LOOPBACK, for 127.0.0.0/8', '200', loopback.said)

  const bot = texts.of('BILLING_BOT')
  const tools = [
    ['get_bill', 'acme', '200'],
    ['get_bill', 'umbrella', '403 tool_denied'],
    ['delete_bill', 'acme', '403 tool_denied'],
  ] as const
  for (const [tool, account, expected] of tools) {
    const { said } = await call(service, `/tools/${tool}`, bot, { method: 'POST', json: { account } })
    transcript.step(`tool ${tool} for ${account} with BILLING_BOT`, expected, said)
  }
}

async function limited({ service, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Requests over a limit')
  const answers: string[] = []
  for (let n = 0; n < 5; n++) answers.push((await call(service, '/ping', texts.of('LIMITED'))).said)
  transcript.step('GET /ping five times with LIMITED, 5 an hour', '200 200 200 200 200', answers.join(' '))
  const sixth = await call(service, '/ping', texts.of('LIMITED'))
  transcript.step('and once more', '429 rate_limited', sixth.said)
  const wait = Number(sixth.headers.get('Retry-After'))
  transcript.step('its Retry-After: a fifth of an hour, in seconds', 'true', String(wait > 700 && wait <= 720))

  const units: string[] = []
  for (let n = 0; n < 3; n++) units.push((await call(service, '/ping', texts.of('TRIAL'))).said)
  transcript.step('GET /ping three times with TRIAL, 3 in all', '200 200 200', units.join(' '))
  const fourth = await call(service, '/ping', texts.of('TRIAL'))
  transcript.step('and once more', '429 quota_exceeded', fourth.said)
  transcript.step('its Retry-After: waiting does not help', 'none', fourth.headers.get('Retry-After') ?? 'none')
}

async function ended({ tokens, service, transcript, texts }: Tour): Promise<void> {
  transcript.chapter('Requests with a token that has ended')
  const short = await tokens.get('SHORT')
  // Real time: a second and a bit after it was made, SHORT is over.
  await sleep(Math.max(0, (short?.versions[0]?.endsAt ?? 0) - Date.now() + 50))
  transcript.step(
    'GET /ping with SHORT, after its one second',
    '401 expired',
    (await call(service, '/ping', texts.of('SHORT'))).said,
  )

  await tokens.disable('PAUSED', { actor: 'tour', reason: 'invoice unpaid' })
  transcript.step(
    'GET /ping with PAUSED, disabled',
    '401 disabled',
    (await call(service, '/ping', texts.of('PAUSED'))).said,
  )
  await tokens.enable('PAUSED', { actor: 'tour' })
  transcript.step(
    'GET /ping with PAUSED, enabled again',
    '200',
    (await call(service, '/ping', texts.of('PAUSED'))).said,
  )
  await tokens.disable('PAUSED', { actor: 'tour', reason: 'invoice unpaid again' })

  // Somebody sends a string found in a public place, and nobody knows whose it is.
  transcript.step(
    'GET /ping with LEAKED, before anyone knows',
    '200',
    (await call(service, '/ping', texts.of('LEAKED'))).said,
  )
  const [revoked] = await tokens.revoke({ token: texts.of('LEAKED') }, { actor: 'tour', reason: 'found in a paste' })
  transcript.step('revoke the string: whose was it?', 'LEAKED', revoked?.service ?? 'nobody’s')
  transcript.step('GET /ping with LEAKED', '401 revoked', (await call(service, '/ping', texts.of('LEAKED'))).said)
}
