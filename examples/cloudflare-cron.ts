// Looks after a Cloudflare token from a cron of one's own: every six hours a check, and what is missing is added once somebody
// approved it. Here the Cloudflare is a simulated one, and days go by at once.
// node examples/cloudflare-cron.ts
import assert from 'node:assert/strict'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'
import { CloudflareTokenHealer, formatReport, registerCloudflareActions, storeState } from 'tokenwright/cloudflare'
import { CloudflareSimulator, fakeClock } from 'tokenwright/testing'

const clock = fakeClock({ now: '2030-01-07T00:00:00Z' })
const cloudflare = new CloudflareSimulator({ clock })
const accountId = cloudflare.addAccount()
const on = cloudflare.on(accountId)
// Two credentials: one that may write tokens and nothing else, and the one that the application works with.
const manager = cloudflare.addToken({
  account: accountId,
  policies: [{ groups: ['Account API Tokens Write'], resources: on }],
})
const app = cloudflare.addToken({
  account: accountId,
  policies: [{ groups: ['Workers Scripts Write', 'D1 Write'], resources: on }],
})

const store = new MemoryTokenStore({ clock })
const keys = generateSecret()
const tokens = new Tokenwright({ store, keys, clock })
const healer = new CloudflareTokenHealer({
  healerToken: manager.value, // process.env.HEALER_TOKEN
  fetch: cloudflare.fetch, // leave it out: then it is Cloudflare's API
  clock,
  targets: [{ kind: 'account', accountId, tokenId: app.id, name: 'app' }],
  required: ['Workers Scripts Write', 'D1 Write', 'Queues Write'],
  ceiling: ['Workers Scripts Write', 'D1 Write', 'Queues Write', 'Workers KV Storage Write'],
  // Where somebody is asked: a chat, a ticket, a second pair of eyes. Nothing is written without a yes.
  approve: (plan) => {
    console.log(
      `approve ${plan.planHash.slice(0, 8)}: ${plan.added.map(({ name }) => name).join(', ')} (risk ${plan.risk})`,
    )
    return { planHash: plan.planHash, by: 'ops@example', expiresAt: clock.now() + 60_000 }
  },
  state: storeState({ store, keys, clock }),
  notify: ({ text }) => console.log('notice:', text),
  events: tokens.events,
})

registerCloudflareActions(tokens.rules, healer)
tokens.healthSource('cloudflare', () => healer.health())
await tokens.rules.create({
  name: 'cloudflare',
  action: 'cloudflare.heal',
  schedule: { cron: '0 */6 * * *', timezone: 'UTC' },
})

for (let hour = 0; hour < 24; hour++) {
  // Somebody takes a permission away by hand in the afternoon.
  if (hour === 15)
    cloudflare.setPolicies(app.id, [{ groups: ['Workers Scripts Write', 'Queues Write'], resources: on }])
  await clock.advance('1h')
  await tokens.tick()
}
console.log(formatReport(await healer.check()))

const { heals, mostMissing } = await healer.analytics({ since: '1d' })
assert.deepEqual(heals, { attempted: 2, succeeded: 2, failed: 0, unknown: 0 })
assert.deepEqual(mostMissing.map(({ group }) => group).sort(), ['D1 Write', 'Queues Write'])
assert.equal(cloudflare.count('PUT'), 2)
assert.equal((await healer.status()).overall_health, 'healthy')
await tokens.close()
