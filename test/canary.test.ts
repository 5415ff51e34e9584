import { generateKeyPairSync, sign } from 'node:crypto'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { ruleKind } from '../src/automation/rule.ts'
import type { RuleInput } from '../src/automation/rule-input.ts'
import { runKind } from '../src/automation/run.ts'
import { FileTokenStore } from '../src/file/index.ts'
import {
  type BulkRotated,
  KeyRing,
  logTo,
  MemoryTokenStore,
  publishToWebhook,
  type RateLimiter,
  Secret,
  type TokenStore,
  Tokenwright,
} from '../src/index.ts'
import { PostgresRateLimiter, PostgresTokenStore } from '../src/postgres/index.ts'
import { batchKind } from '../src/rotation/batch-record.ts'
import { rotationKind } from '../src/rotation/rotation-record.ts'
import { signingKeyKind } from '../src/signed/signing-key.ts'
import { keyKind } from '../src/stores/key-check.ts'
import { eventKind } from '../src/stores/outbox.ts'
import { activityKind } from '../src/stores/usage-rows.ts'
import { tokenKind } from '../src/tokens/record.ts'
import { alertKind } from '../src/usage/alert.ts'
import { networksKind } from '../src/usage/known-networks.ts'
import { requestKind } from '../src/usage/request-log.ts'
import { liveHealer } from './cloudflare/healer-life.ts'
import { dropSchema, freshSchema, newPool, there } from './postgres/database.ts'
import { liveVault } from './vault/canary.ts'

/** Everything that came out of the library: returned values, events, log lines, errors, what the store holds. */
class Outputs {
  readonly texts: string[] = []

  add(output: unknown): void {
    this.texts.push(
      typeof output === 'string'
        ? output
        : inspect(output, { depth: 12, showHidden: true, maxArrayLength: null, maxStringLength: null }),
    )
    try {
      this.texts.push(JSON.stringify(output) ?? '')
    } catch {
      // What can't be JSON can't leak as JSON.
    }
    if (output instanceof Error)
      this.texts.push(String(output), output.stack ?? '', inspect(output.cause, { depth: 12 }))
  }

  async attempt(call: () => unknown): Promise<void> {
    try {
      this.add(await call())
    } catch (error) {
      this.add(error)
    }
  }
}

/** Goes through the whole life of tokens and gathers every output but the one return value that may hold a text. */
async function live(store: TokenStore, limiter?: RateLimiter): Promise<{ outputs: Outputs; secrets: string[] }> {
  const outputs = new Outputs()
  const keySecrets = ['canary-key-one-0123456789-abcdefghij-KLMNOP', 'canary-key-two-9876543210-zyxwvutsrq-PONMLK']
  const keys = [
    { id: 'one', secret: keySecrets[0] as string },
    { id: 'two', secret: keySecrets[1] as string },
  ]
  const directory = await mkdtemp(join(tmpdir(), 'tokenwright-canary-archives-'))
  const passphrase = 'canary-passphrase-0123456789-abcdefghijklm'
  const secrets: string[] = [...keySecrets, passphrase]
  const webhookKey = `whsec_${Buffer.from('canary-webhook-key-0123456789-abc').toString('base64')}`
  secrets.push(webhookKey)
  const posted = publishToWebhook({
    url: 'https://consumer.example',
    secret: webhookKey,
    fetch: async () => new Response('no', { status: 500 }),
  })
  const tokens = new Tokenwright({
    store,
    limiter,
    keys,
    usage: { record: 'all' },
    formats: [{ prefix: 'can_' }],
    backups: { directory, include: { journal: true, usage: true } },
    onEvent: [{ name: 'canary', handler: (event) => outputs.add(event) }],
    rotation: {
      attempts: 1,
      hooks: {
        STAGED: {
          publish: ({ token, signal: _, ...rest }) => {
            secrets.push(token)
            outputs.add(rest)
          },
          test: () => 'ok',
          rollback: (context) => outputs.add({ ...context, signal: undefined }),
        },
        POSTED: {
          publish: (context) => {
            secrets.push(context.token)
            return posted(context)
          },
        },
      },
    },
  })
  tokens.events.onAny((name, payload) => outputs.add([name, payload]))
  const line = (fields: object, message: string) => outputs.add([fields, message])
  logTo(tokens.events, { debug: line, info: line, warn: line, error: line }, { level: 'debug' })

  const made = async (call: () => Promise<{ token: string; record: unknown }>) => {
    const { token, ...rest } = await call()
    secrets.push(token)
    outputs.add(rest)
    return token
  }
  const texts = [
    await made(() =>
      tokens.generate({
        service: 'KEY',
        prefix: 'can_',
        scopes: ['a:b'],
        rateLimit: { limit: 2, per: '1h' },
        quota: { limit: 5 },
      }),
    ),
    await made(() => tokens.generate({ service: 'GITHUB', type: 'github' })),
    await made(() => tokens.generate({ service: 'OAUTH', type: 'oauth' })),
    await made(() => tokens.generate({ service: 'JWT', type: 'jwt' })),
    await made(() => tokens.generate({ service: 'FULL', charset: 'full', retrievable: true })),
  ]
  const foreign = 'foreign-canary-0123456789-abcdefghijklmnop'
  secrets.push(foreign)
  await outputs.attempt(() => tokens.import({ service: 'FOREIGN', token: foreign, retrievable: true }))
  await outputs.attempt(() => tokens.import({ service: 'AGAIN', token: foreign }))
  await outputs.attempt(() => tokens.import({ service: 'CLASH', token: `can_${foreign}` }))
  await outputs.attempt(() => tokens.import({ service: 'SPACE', token: ` ${foreign}` }))
  for (const text of [...texts, foreign]) {
    for (let i = 0; i < 4; i++)
      await outputs.attempt(() => tokens.verify(text, { scopes: ['a:b'], tool: 'ping', ip: '10.0.0.1', explain: true }))
    await outputs.attempt(() => tokens.verify(`${text}x`, { explain: true }))
    await outputs.attempt(() => tokens.verify(text.slice(1)))
    await outputs.attempt(() => tokens.verify([text]))
    // Mistakes that hosts make: the token where a name, an id or an option belongs.
    await outputs.attempt(() => tokens.get(text))
    await outputs.attempt(() => tokens.rotate(text))
    await outputs.attempt(() => tokens.disable({ id: text }))
    await outputs.attempt(() => tokens.update('KEY', { [text]: 1 } as object))
    await outputs.attempt(() => tokens.revoke({ token: `${text}y` }))
    await outputs.attempt(() => tokens.rotate('KEY', { token: text.slice(2) }))
    await outputs.attempt(() => tokens.list({ cursor: text }))
    await outputs.attempt(() => tokens.verify('x', { level: text as 'admin' }))
  }
  secrets.push((await tokens.rotate('JWT')).token)
  secrets.push((await tokens.rotate('FOREIGN', { grace: 0 })).token)
  expect(secrets).toContain(await tokens.rotator.reveal('JWT', { actor: 'canary' }))
  await made(() => tokens.generate({ service: 'STAGED', retrievable: true }))
  await made(() => tokens.generate({ service: 'POSTED' }))
  const rotated = async (service: string, options: object = {}) => {
    const { token, ...rest } = await tokens.rotate(service, options)
    if (token !== undefined) secrets.push(token)
    outputs.add(rest)
    return rest.rotation.id
  }
  const staged = await rotated('STAGED', { rotationId: 'canary' })
  await rotated('STAGED', { rotationId: 'canary' })
  await outputs.attempt(() => tokens.rotator.rollback(staged))
  const stalled = await rotated('POSTED')
  await outputs.attempt(() => tokens.rotate('POSTED'))
  await outputs.attempt(() => tokens.rotator.pending())
  await outputs.attempt(() => tokens.rotator.resume(stalled, { token: texts[0] as string }))
  await outputs.attempt(() => tokens.rotator.resume(texts[0] as string))
  await outputs.attempt(() => tokens.rotate('POSTED', { rotationId: texts[0] as string }))
  await outputs.attempt(() => tokens.rotator.resume(stalled))
  await outputs.attempt(() => tokens.rotator.abandon(stalled))
  await outputs.attempt(() => tokens.rotator.history('POSTED'))
  await outputs.attempt(() => tokens.rotate('POSTED', { origin: { rule: 'canary' } }))
  const onRotated = ({ token, record }: BulkRotated) => {
    secrets.push(token)
    outputs.add(record)
    if (record.service === 'FULL') throw new Error('no')
  }
  await outputs.attempt(() => tokens.rotator.bulkRotate({ onRotated, batchId: 'canary', whenInGrace: 'endOldest' }))
  await outputs.attempt(() => tokens.rotator.bulkRotate({ services: texts }))
  await outputs.attempt(() => tokens.rotator.tick())
  await liveRules(tokens, outputs, texts)
  await liveLeaks(tokens, outputs, secrets)
  for (const text of texts) {
    await outputs.attempt(() =>
      tokens.approvals.request({ token: text, service: 'A', tool: 'ping', args: {}, risk: 'low' }),
    )
    await outputs.attempt(() => tokens.approvals.request({ [text]: 1 }))
    await outputs.attempt(() => tokens.approvals.approve(text, 'canary'))
    await outputs.attempt(() => tokens.audit.query({ cursor: text }))
    await outputs.attempt(() => tokens.audit.query({ [text]: 1 } as object))
  }
  await outputs.attempt(() => tokens.audit.query({ limit: 1000 }))
  await outputs.attempt(() => tokens.audit.verify({ records: true }))
  await outputs.attempt(() => tokens.audit.checkpoint())
  for await (const line of tokens.audit.export()) outputs.add(line)
  const finished = await tokens.verify(texts[1], { finishLater: true })
  tokens.usage.finish(finished, { status: 200, durationMs: 3, ip: '10.0.0.1', caller: 'canary' })
  outputs.add(finished)
  await outputs.attempt(() => tokens.disable('OAUTH', { reason: 'canary' }))
  await outputs.attempt(() => tokens.revoke('GITHUB'))
  await outputs.attempt(() => tokens.keys.rekey())
  await outputs.attempt(() => tokens.keys.status())
  await outputs.attempt(() => tokens.tick())
  await tokens.usage.flush()
  await outputs.attempt(() => tokens.usage.query())
  await outputs.attempt(() => tokens.usage.requests({ limit: 1000 }))
  const wrong = [{ id: 'one', secret: keySecrets[1] as string }]
  const { file: plain = '' } = await tokens.backups.create({ compress: false, actor: 'canary' })
  const { file = '' } = await tokens.backups.create()
  const sealed = join(directory, 'sealed')
  await outputs.attempt(() => tokens.backups.create({ compress: false, passphrase, to: sealed, verify: false }))
  await outputs.attempt(() => tokens.backups.verify(sealed, { passphrase: `${passphrase}x` }))
  await outputs.attempt(() => tokens.backups.verify(sealed, { keys: wrong }))
  await outputs.attempt(() => tokens.backups.verify(plain, { keys: wrong }))
  await outputs.attempt(() => tokens.backups.verify(plain))
  await outputs.attempt(() => tokens.backups.inspect(sealed))
  await outputs.attempt(() => tokens.backups.create({ key: passphrase }))
  await outputs.attempt(() => tokens.backups.create({ [passphrase]: true } as object))
  await outputs.attempt(() => tokens.backups.plan(file, { mode: 'replace' }))
  await outputs.attempt(() => tokens.backups.restore(file, { mode: 'replace' }))
  const other = new Tokenwright({ store: new MemoryTokenStore(), keys })
  other.events.onAny((name, payload) => outputs.add([name, payload]))
  await outputs.attempt(() => other.backups.restore(sealed, { passphrase: new Secret(passphrase) }))
  await outputs.attempt(() => other.backups.restore(file))
  outputs.add(other.backups)
  for (const name of await readdir(directory)) outputs.add(await readFile(join(directory, name), 'latin1'))
  await rm(directory, { recursive: true, force: true })
  await outputs.attempt(() => tokens.health())
  await outputs.attempt(() => tokens.outbox.pending())
  await outputs.attempt(() => tokens.outbox.deadLetters())
  await outputs.attempt(() => tokens.list())
  for (const object of [
    tokens,
    tokens.verifier,
    tokens.generator,
    tokens.rotator,
    tokens.rules,
    tokens.outbox,
    tokens.registry,
    tokens.keys,
    tokens.usage,
    tokens.usage.alerts,
    tokens.usage.analytics,
    tokens.leaks,
    tokens.backups,
    new Secret(texts[0] as string),
  ])
    outputs.add(object)
  for await (const rows of store.scan?.([
    tokenKind,
    keyKind,
    eventKind,
    activityKind,
    requestKind,
    alertKind,
    networksKind,
    rotationKind,
    batchKind,
    ruleKind,
    runKind,
  ]) ?? [])
    outputs.add(rows)
  outputs.add(await store.journal({ limit: 1000 }))
  await liveSigned(tokens, store, KeyRing.from(keys), outputs, secrets)
  await tokens.close()
  return { outputs, secrets }
}

/** Signed tokens in both forms, their keys, and the mistakes that hosts and clients make with them. */
async function liveSigned(
  tokens: Tokenwright,
  store: TokenStore,
  ring: KeyRing,
  outputs: Outputs,
  secrets: string[],
): Promise<void> {
  const { signer } = tokens
  for (const format of ['jwt', 'hmac'] as const) {
    const { token, ...rest } = await signer.mint({ agent: `canary-${format}`, scopes: ['a:b'], ttl: '1h', format })
    secrets.push(token)
    outputs.add(rest)
    for (let i = 0; i < 2; i++) await outputs.attempt(() => tokens.verify(token, { tool: 'ping', explain: true }))
    await outputs.attempt(() => signer.verify(token))
    await outputs.attempt(() => signer.introspect(token))
    await outputs.attempt(() => tokens.verify(`${token}x`))
    await outputs.attempt(() => signer.mint({ agent: 'a', ttl: '1h', format: token as 'jwt' }))
    await outputs.attempt(() => signer.mint({ agent: 'a', ttl: token as '1h', format }))
    await outputs.attempt(() => signer.mint({ agent: 'a', ttl: '1h', format, scopes: [token] }))
    await outputs.attempt(() => signer.mint({ agent: 'a', ttl: '1h', format, [token]: 1 } as never))
    await outputs.attempt(() => signer.mint({ agent: 'a', ttl: '1h', format, claims: { [token]: 1 } }))
    await outputs.attempt(() => signer.mint({ agent: 'a', ttl: '1h', format, minter: token as never }))
    await outputs.attempt(() => signer.revoke({ id: token }))
    await outputs.attempt(() => signer.revoke({ token: `${token}x` }))
    await outputs.attempt(() => signer.revoke(token as 'all'))
    await outputs.attempt(() => signer.revoke({ [token]: 1 } as never))
    for (const text of [token, `${token}-and more`, token.slice(0, -9)]) {
      outputs.add(tokens.leaks.redact(`before ${text} after`))
      for await (const found of tokens.leaks.scan([`line\n${text.slice(0, 9)}`, text.slice(9)])) outputs.add(found)
      await outputs.attempt(() => signer.identify(text))
      await outputs.attempt(() => tokens.registry.identify(text))
    }
    await outputs.attempt(() => signer.revoke({ token }, { actor: 'canary' }))
    await outputs.attempt(() => tokens.verify(token, { ip: '10.0.0.1', tool: 'ping', caller: 'canary' }))
    await outputs.attempt(() => signer.introspect(token))
    await tokens.usage.flush()
    const alerts = await tokens.usage.alerts.query({ signal: 'revokedUsed', token: `agent:canary-${format}` })
    expect(alerts.items).toHaveLength(1)
    outputs.add(alerts)
    await outputs.attempt(() => tokens.usage.alerts.query({ token }))
  }
  await outputs.attempt(() => signer.health())
  await outputs.attempt(() => signer.rotateKey())
  await outputs.attempt(() => signer.jwks())
  const held = await store.get(signingKeyKind, 'EdDSA')
  for (const { kid, sealed } of held?.value.versions ?? []) {
    if (sealed === undefined) continue
    secrets.push((JSON.parse(ring.unseal(sealed, ['signing_key', 'EdDSA', kid])) as { d: string }).d)
  }
  expect(held?.value.versions.length).toBe(2)
  outputs.add(signer)
  outputs.add(held)
  await outputs.attempt(() => signer.rotateKey({ compromised: true }))
  await outputs.attempt(() => signer.tick())
  for await (const rows of store.scan?.([alertKind, networksKind, requestKind]) ?? []) outputs.add(rows)
}

/** Canaries, alerts, scans, redaction and GitHub's findings. */
async function liveLeaks(tokens: Tokenwright, outputs: Outputs, secrets: string[]): Promise<void> {
  const { token, record } = await tokens.generate({ service: 'TRAP', prefix: 'can_', canary: true })
  const { token: leaked } = await tokens.generate({ service: 'LEAKED', prefix: 'can_' })
  secrets.push(token, leaked)
  outputs.add(record)
  for (const text of [token, leaked]) {
    await outputs.attempt(() => tokens.verify(text, { ip: '10.0.0.1', explain: true }))
    await outputs.attempt(() => tokens.registry.identify(text))
    outputs.add(tokens.leaks.redact(`before ${text} after ${text.slice(0, 40)}`))
    for await (const found of tokens.leaks.scan([`line\n${text.slice(0, 9)}`, text.slice(9)])) outputs.add(found)
    await outputs.attempt(() => tokens.usage.analytics.overview({ token: text }))
    await outputs.attempt(() => tokens.usage.analytics.overview({ [text]: 1 } as object))
    await outputs.attempt(() => tokens.usage.analytics.lastUsed(text))
    await outputs.attempt(() => tokens.usage.alerts.query({ signal: text as 'leaked' }))
    await outputs.attempt(() => tokens.leaks.github({ fetch, onLeak: text as 'alarm' }))
  }
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
  const key = publicKey.export({ type: 'spki', format: 'pem' })
  const list = JSON.stringify({ public_keys: [{ key_identifier: 'k', key }] })
  const published = async () => ({ ok: true, text: async () => list })
  const found = [token, leaked].map((text) => ({
    token: text,
    type: 't',
    url: `https://x.example/${text}`,
    source: 's',
  }))
  const body = JSON.stringify(found)
  const signature = sign('sha256', Buffer.from(body), privateKey).toString('base64')
  const headers = { 'github-public-key-identifier': 'k', 'github-public-key-signature': signature }
  const failing = () => {
    throw new Error(`a host's message with ${leaked}`)
  }
  for (const onLeak of [failing, 'revoke', 'alarm'] as const) {
    const handle = tokens.leaks.github({ fetch: published, onLeak })
    await outputs.attempt(() => handle({ headers, body }))
    await outputs.attempt(() => handle({ headers, body: `${body} ` }))
  }
  await outputs.attempt(() => tokens.verify(leaked))
  await tokens.usage.flush()
  const alerts = await tokens.usage.alerts.query()
  expect(new Set(alerts.items.map(({ signal }) => signal))).toContain('leaked')
  outputs.add(alerts)
  await outputs.attempt(() => tokens.usage.analytics.byToken())
  await outputs.attempt(() => tokens.usage.analytics.talkers())
}

/** Rules: what they do, and what hosts may put in the wrong place. */
async function liveRules(tokens: Tokenwright, outputs: Outputs, texts: readonly string[]): Promise<void> {
  const { rules } = tokens
  const text = texts[0] as string
  rules.action('leaky', () => {
    throw new Error(`a host's message with ${text}`)
  })
  const daily = { schedule: 'daily' } as const
  await outputs.attempt(() => rules.create({ ...daily, name: 'staged', service: 'STAGED', params: { grace: '1h' } }))
  await outputs.attempt(() => rules.create({ ...daily, name: 'bulk', action: 'bulk_rotate', services: ['STAGED'] }))
  await outputs.attempt(() => rules.create({ ...daily, name: 'leaky', action: 'leaky', pauseAfter: 1, attempts: 1 }))
  await outputs.attempt(() =>
    rules.create({ ...daily, name: 'make', action: 'generate', service: 'MADE', params: { retrievable: true } }),
  )
  for (const name of ['staged', 'bulk', 'leaky', 'make', text]) {
    await outputs.attempt(() => rules.execute(name))
    await outputs.attempt(() => rules.runs(name))
    await outputs.attempt(() => rules.update(name, { attempts: 2 }))
  }
  for (const wrong of [
    { action: text },
    { schedule: text },
    { schedule: { cron: text } },
    { schedule: { cron: `0 ${text} * * *` } },
    { schedule: { cron: '0 0 * * *', timezone: text } },
    { schedule: { every: text } },
    { schedule: { calendar: text } },
    { schedule: { calendar: 'month', day: 1, at: text } },
    { startAt: text },
    { jitter: text },
    { overlap: text },
    { conditions: { match: text } },
    { conditions: { [text]: 1 } },
    { params: text },
    { params: { grace: text } },
    { params: { whenInGrace: text } },
    { service: ` ${text}` },
    { [text]: 1 },
  ]) {
    await outputs.attempt(() => rules.create({ ...daily, name: 'wrong', service: 'STAGED', ...wrong } as RuleInput))
  }
  await outputs.attempt(() => rules.get(text))
  await outputs.attempt(() => rules.list())
  await outputs.attempt(() => rules.plan({ to: tokens.clock.now() + 86_400_000 }))
  await outputs.attempt(() => rules.check(tokens.clock.now() + 86_400_000))
  await outputs.attempt(() => rules.health())
}

function expectNone(texts: readonly string[], secrets: readonly string[]): void {
  for (const secret of secrets) {
    // Not the whole, and no long part of it: a preview shows six characters of 64.
    const part = secret.slice(Math.floor(secret.length / 2), Math.floor(secret.length / 2) + 16)
    for (const text of texts) {
      const at = Math.max(text.indexOf(secret), text.indexOf(part))
      expect(at === -1 ? '' : text.slice(Math.max(0, at - 200), at), 'a secret leaked after this').toBe('')
    }
  }
}

describe('no secret in any output', () => {
  it('with the memory store', async () => {
    const { outputs, secrets } = await live(new MemoryTokenStore())
    expect(outputs.texts.length).toBeGreaterThan(200)
    expectNone(outputs.texts, secrets)
  })

  it('with the file store, in the bytes of its files too', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'tokenwright-canary-'))
    try {
      const store = await FileTokenStore.open(join(folder, 'tokens.db'))
      const { outputs, secrets } = await live(store)
      for (const name of await readdir(folder)) outputs.add(await readFile(join(folder, name), 'latin1'))
      expectNone(outputs.texts, secrets)
    } finally {
      await rm(folder, { recursive: true, force: true })
    }
  })

  it.runIf(there)('with PostgreSQL, in every row of its tables too', async () => {
    const schema = freshSchema()
    const pool = newPool()
    try {
      const store = new PostgresTokenStore({ pool, schema })
      await store.migrate()
      const { outputs, secrets } = await live(store, new PostgresRateLimiter({ pool, schema }))
      const tables = await pool.query<{ tablename: string }>('SELECT tablename FROM pg_tables WHERE schemaname = $1', [
        schema,
      ])
      expect(tables.rows.length).toBeGreaterThan(3)
      for (const { tablename } of tables.rows)
        outputs.add((await pool.query(`SELECT * FROM "${schema}"."${tablename}"`)).rows)
      expectNone(outputs.texts, secrets)
    } finally {
      await dropSchema(pool, schema)
      await pool.end()
    }
  })

  it('with Vault tokens, their logins, sinks and failures', async () => {
    const outputs = new Outputs()
    const secrets = await liveVault(outputs)
    expect(outputs.texts.length).toBeGreaterThan(100)
    expectNone(outputs.texts, secrets)
  })

  it('of a Cloudflare healer, with the debug log of the official client on', async () => {
    const outputs = new Outputs()
    const secrets = await liveHealer((output) => outputs.add(output))
    expect(secrets.length).toBeGreaterThan(4)
    expect(outputs.texts.length).toBeGreaterThan(150)
    expect(outputs.texts.filter((text) => text.includes('sending request')).length).toBeGreaterThan(20)
    expectNone(outputs.texts, secrets)
  })

  it('would notice one', () => {
    const secret = 'the-canary-0123456789-abcdefghijklmnop'
    expect(() => expectNone([`prefix ${secret}`], [secret])).toThrow()
    expect(() => expectNone([secret.slice(8)], [secret])).toThrow()
  })
})
