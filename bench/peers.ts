import { createSecretKey, randomBytes } from 'node:crypto'
import { measure, rawHmac, type Subject } from './measure.ts'
import type { Report } from './result.ts'

/** What is used of the peers. They are installed by the bench alone, so their own types may not be there. */
interface Peers {
  'prefixed-api-key': {
    generateAPIKey(options: { keyPrefix: string }): Promise<{ token: string; longTokenHash: string }>
    checkAPIKey(token: string, hash: string): boolean
    extractShortToken(token: string): string
  }
  'passport-headerapikey': {
    HeaderAPIKeyStrategy: new (
      header: { header: string; prefix: string },
      passRequest: boolean,
      verify: (key: string, done: (error: unknown, user?: unknown) => void) => void,
    ) => { authenticate(request: object): void; success?: (user: unknown) => void; fail?: () => void }
  }
  'better-auth': { betterAuth(options: object): { api: BetterAuthApi; $context: Promise<BetterAuthContext> } }
  'better-auth/adapters/memory': { memoryAdapter(tables: { [table: string]: unknown[] }): unknown }
  '@better-auth/api-key': { apiKey(options: object): unknown }
  'fast-jwt': {
    createSigner(options: object): (payload: object) => string
    createVerifier(options: object): (text: string) => unknown
  }
  jsonwebtoken: { default: { verify(text: string, key: string, options: object): unknown } }
  jose: { jwtVerify(text: string, key: unknown, options: object): Promise<unknown> }
  nanoid: { customAlphabet(alphabet: string, size: number): () => string }
  'rate-limiter-flexible': {
    RateLimiterMemory: new (options: { points: number; duration: number }) => { consume(key: string): Promise<unknown> }
  }
}

interface BetterAuthApi {
  createApiKey(input: { body: object }): Promise<{ key: string }>
  verifyApiKey(input: { body: { key: string } }): Promise<{ valid: boolean }>
}

interface BetterAuthContext {
  internalAdapter: { createUser(user: object): Promise<{ id: string }> }
}

const WORKING_SET = 4096

function load<Name extends keyof Peers>(name: Name): Promise<Peers[Name]> {
  // Not a literal: the type checker must not need what only the bench installs.
  const specifier: string = name
  return import(specifier) as Promise<Peers[Name]>
}

/** Measures the peers as they come, by the same method. None of them but better-auth checks more than the secret. */
export async function peersSection(report: Report): Promise<void> {
  const key = createSecretKey(randomBytes(32))
  const h = rawHmac(
    key,
    Array.from({ length: 64 }, () => `sk_${randomBytes(48).toString('base64url')}`),
  )
  const cases: [string, Subject][] = [
    ['peer.prefixed-api-key', await prefixedApiKey()],
    ['peer.passport-headerapikey', await passportHeader()],
    ...(await jwtPeers()),
    ['peer.nanoid', await nanoid()],
    ['peer.rate-limiter-flexible', await rateLimiterFlexible()],
    ...(await betterAuth()),
  ]
  for (const [id, subject] of cases) report(id, await measure(subject, h))
}

const ALPHANUMERIC = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

async function nanoid(): Promise<Subject> {
  const make = (await load('nanoid')).customAlphabet(ALPHANUMERIC, 64)
  return { run: () => make() }
}

/** HS256 with issuer and audience, as they come: fast-jwt with its cache on. */
async function jwtPeers(): Promise<[string, Subject][]> {
  const secret = randomBytes(32).toString('base64url')
  const { createSigner, createVerifier } = await load('fast-jwt')
  const sign = createSigner({ key: secret, algorithm: 'HS256', expiresIn: 86_400_000, iss: 'bench', aud: 'bench' })
  const texts = Array.from({ length: WORKING_SET }, (_, i) =>
    sign({ sub: `agent-${i}`, scope: 'docs:read docs:write' }),
  )
  const text = (i: number) => texts[i % WORKING_SET] as string
  const cached = createVerifier({
    ...{ key: secret, algorithms: ['HS256'], allowedIss: 'bench', allowedAud: 'bench' },
    cache: WORKING_SET * 2,
  })
  for (const each of texts) cached(each)
  const { default: jsonwebtoken } = await load('jsonwebtoken')
  const options = { algorithms: ['HS256'], issuer: 'bench', audience: 'bench' }
  const { jwtVerify } = await load('jose')
  const hmac = { name: 'HMAC', hash: 'SHA-256' }
  const key = await crypto.subtle.importKey('raw', Buffer.from(secret), hmac, false, ['verify'])
  return [
    ['peer.fast-jwt', { run: (i) => cached(text(i)) }],
    ['peer.jsonwebtoken', { run: (i) => jsonwebtoken.verify(text(i), secret, options) }],
    ['peer.jose', { run: (i) => jwtVerify(text(i), key, options), async: true }],
  ]
}

async function prefixedApiKey(): Promise<Subject> {
  const { generateAPIKey, checkAPIKey, extractShortToken } = await load('prefixed-api-key')
  const hashes = new Map<string, string>()
  const texts: string[] = []
  for (let i = 0; i < WORKING_SET; i++) {
    const { token, longTokenHash } = await generateAPIKey({ keyPrefix: 'sk' })
    hashes.set(extractShortToken(token), longTokenHash)
    texts.push(token)
  }
  const run = (i: number) => {
    const text = texts[i % WORKING_SET] as string
    return checkAPIKey(text, hashes.get(extractShortToken(text)) as string)
  }
  if (!run(1)) throw new Error('prefixed-api-key refuses its own key')
  return { run }
}

async function passportHeader(): Promise<Subject> {
  const { HeaderAPIKeyStrategy } = await load('passport-headerapikey')
  const users = new Map(
    Array.from({ length: WORKING_SET }, (_, i) => [`sk_${randomBytes(48).toString('base64url')}`, { i }]),
  )
  const strategy = new HeaderAPIKeyStrategy({ header: 'X-API-Key', prefix: '' }, false, (key, done) =>
    done(null, users.get(key)),
  )
  let passed = 0
  strategy.success = () => {
    passed += 1
  }
  const requests = [...users.keys()].map((key) => ({ headers: { 'x-api-key': key } }))
  const run = (i: number) => strategy.authenticate(requests[i % WORKING_SET] as object)
  run(0)
  if (passed !== 1) throw new Error('passport-headerapikey refuses a good key')
  return { run }
}

async function rateLimiterFlexible(): Promise<Subject> {
  const { RateLimiterMemory } = await load('rate-limiter-flexible')
  const limiter = new RateLimiterMemory({ points: 1_000_000_000, duration: 3600 })
  return { run: (i) => limiter.consume(`tok_${i % WORKING_SET}`), async: true }
}

async function betterAuth(): Promise<[string, Subject][]> {
  const { betterAuth } = await load('better-auth')
  const { memoryAdapter } = await load('better-auth/adapters/memory')
  const { apiKey } = await load('@better-auth/api-key')
  const tables = { user: [], session: [], account: [], verification: [], apikey: [] }
  const auth = betterAuth({
    baseURL: 'http://localhost',
    secret: randomBytes(32).toString('hex'),
    database: memoryAdapter(tables),
    plugins: [apiKey({ rateLimit: { enabled: true, timeWindow: 3_600_000, maxRequests: 1_000_000_000 } })],
    telemetry: { enabled: false },
    logger: { disabled: true },
  })
  const { internalAdapter } = await auth.$context
  const user = await internalAdapter.createUser({ email: 'bench@example.com', name: 'bench' })
  const create = () => auth.api.createApiKey({ body: { userId: user.id, name: 'bench' } })
  const texts: string[] = []
  for (let i = 0; i < 1000; i++) texts.push((await create()).key)
  const verify = (i: number) => auth.api.verifyApiKey({ body: { key: texts[i % texts.length] as string } })
  if (!(await verify(0)).valid) throw new Error('better-auth refuses its own key')
  return [
    ['peer.better-auth.verify', { run: verify, async: true }],
    ['peer.better-auth.create', { run: create, async: true }],
  ]
}
