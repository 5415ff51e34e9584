import { format } from 'node:util'
import Cloudflare from 'cloudflare'
import {
  CloudflareTokenHealer,
  type CloudflareTokenHealerOptions,
  createCloudflareClient,
  d1State,
  formatReport,
  fromCloudflare,
  type HealPlan,
  storeState,
} from '../../src/cloudflare/index.ts'
import { generateSecret, logTo, MemoryTokenStore } from '../../src/index.ts'
import { CloudflareSimulator, fakeClock } from '../../src/testing/index.ts'
import { patientClock, REQUIRED } from './fixture.ts'
import { sqliteD1 } from './sqlite-d1.ts'

/**
 * Goes through the whole life of tokens that a healer looks after, good and bad, and hands every output to `add`: returned values,
 * events, log lines of ours and of the official client, errors, what the states hold, and what hosts may put in the wrong place.
 *
 * @returns the secrets that were in use: of the healer, of its targets, before and after a roll
 */
export async function liveHealer(add: (output: unknown) => void): Promise<string[]> {
  const clock = patientClock(fakeClock())
  const cloudflare = new CloudflareSimulator({ clock })
  const account = cloudflare.addAccount()
  const on = cloudflare.on(account)
  const own = cloudflare.addToken({ account, policies: [{ groups: ['Account API Tokens Write'], resources: on }] })
  const lost = 'lost-canary-0123456789-abcdefghijklmnop'
  const secrets = [own.value, lost]
  const url = await cloudflare.listen()
  const line = (...parts: unknown[]): void => add(format(...parts))
  const logger = { debug: line, info: line, warn: line, error: line }
  const official = fromCloudflare(new Cloudflare({ apiToken: own.value, baseURL: url, logLevel: 'debug', logger }))
  const store = new MemoryTokenStore({ clock })
  const states = [storeState({ store, keys: generateSecret(), clock }), d1State({ database: sqliteD1() })]
  const attempt = async (call: () => unknown): Promise<void> => {
    try {
      add(await call())
    } catch (error) {
      add(error)
    }
  }
  try {
    for (const [n, client] of [official, createCloudflareClient({ token: own.value, baseURL: url })].entries()) {
      const app = cloudflare.addToken({
        account,
        policies: [{ groups: ['Workers Scripts Write', 'Billing Read'], resources: on }],
      })
      secrets.push(app.value)
      const targets = [
        { kind: 'account', accountId: account, tokenId: app.id, token: app.value, name: 'app' },
        { accountId: account, token: lost, name: 'lost' },
      ] as const
      const state = states[n]
      const options = { client, clock, state, targets, required: [...REQUIRED], cooldown: 0, notify: add } as const
      const healer = new CloudflareTokenHealer({ ...options, ceiling: [...REQUIRED], autoHeal: true })
      healer.events.onAny((name, payload) => add([name, payload]))
      logTo(healer.events, logger as never, { level: 'debug' })
      add(healer)
      await attempt(() => healer.check())
      await attempt(() => healer.heal())
      await attempt(() => healer.status())
      await attempt(() => healer.health())
      await attempt(async () => formatReport(await healer.check()))
      await attempt(() => healer.plan('lost'))
      const plan = (await healer.narrow('app')) as HealPlan
      add(plan)
      const approval = { planHash: plan.planHash, by: 'ops', expiresAt: clock.now() + 1e6 }
      await attempt(() => healer.apply(plan, { approval }))
      await attempt(async () => healer.rollback((await healer.history())[0]?.targets[0]?.change?.snapshot ?? ''))
      await attempt(() => healer.apply(plan, { approval }))
      for (const type of ['server', 'html', 'truncated', 'not_successful', 'reset', 'reset_after'] as const) {
        cloudflare.fault({ fault: { type }, times: 4 })
        await attempt(() => healer.heal())
        cloudflare.clearFaults()
      }
      for (const value of secrets) {
        const message = `Cannot use ${value} from location: ${value}`
        cloudflare.fault({ times: 3, fault: { type: 'error', status: 403, code: 9109, message } })
        await attempt(() => healer.check())
        cloudflare.clearFaults()
      }
      const rolled = await healer.roll('app', {
        publish: ({ token: _, signal: __, ...context }) => {
          add(context)
          throw new Error('the consumer is down')
        },
      })
      const { token, ...rest } = rolled
      secrets.push(token)
      add(rest)
      cloudflare.fault({ method: 'PUT', fault: { type: 'truncated' } })
      await attempt(() => healer.roll('app'))
      for (const { answer, path } of cloudflare.requests) {
        if (path.endsWith('/value')) secrets.push(...(answer.match(/cfat_[0-9a-f]{20,}/g) ?? []))
      }
      await attempt(() => healer.history({ limit: 100 }))
      await attempt(() => healer.analytics({ since: '1d' }))
      const rows = await state?.rows({ limit: 100 })
      add(rows)
      for (const row of rows ?? [])
        for (const { change } of row.targets) add(await state?.snapshot(change?.snapshot ?? ''))
      await misuse(options, attempt, app.value)
    }
    add(await store.journal({ limit: 1000 }))
  } finally {
    await cloudflare.close()
  }
  return [...new Set(secrets)]
}

/** What hosts may put in the wrong place: a token's text. */
async function misuse(
  options: CloudflareTokenHealerOptions,
  attempt: (call: () => unknown) => Promise<void>,
  text: string,
): Promise<void> {
  const wrong: object[] = [
    { required: [text] },
    { required: [{ group: text }] },
    { required: [{ group: 'D1 Write', resource: text }] },
    { required: [{ group: 'D1 Write', resource: { account: text } }] },
    { required: [{ group: 'D1 Write', [text]: 1 }] },
    { ceiling: [text] },
    { allowSensitive: [text] },
    { targets: [{ kind: text, tokenId: text }] },
    { targets: [{ kind: 'user', tokenId: text }] },
    { targets: [{ kind: 'account', accountId: text, tokenId: text }] },
    { targets: [{ kind: 'user', token: `Bearer ${text}` }] },
    { targets: [{ kind: 'user', token: text, [text]: 1 }] },
    {
      targets: [
        { kind: 'user', token: text, name: text },
        { kind: 'user', token: text, name: text },
      ],
    },
    { client: undefined, healerToken: `${text} ` },
    { client: undefined, healerToken: text, baseURL: `https://${text}@example.com` },
    { [text]: 1 },
    { timeout: text },
    { implies: text },
  ]
  for (const each of wrong) {
    await attempt(() => new CloudflareTokenHealer({ ...options, ...each } as CloudflareTokenHealerOptions).check())
  }
  const healer = new CloudflareTokenHealer(options)
  await attempt(() => healer.plan(text))
  await attempt(() => healer.roll(text))
  await attempt(() => healer.rollback(text))
  await attempt(() => healer.resetCircuit(text))
  await attempt(() => healer.apply({ planHash: text, target: { name: text } } as never))
  await attempt(() => healer.history({ before: text as never }))
  await attempt(() => healer.analytics({ since: text as never }))
  await attempt(() => healer.check({ actor: [text] as never }))
}
