// A token leaked: every value of a team is replaced at once, and a worker goes on with the new one.
// node examples/emergency-rotation.ts
import assert from 'node:assert/strict'
import { generateSecret, MemoryTokenStore, Tokenwright } from 'tokenwright'

/** A worker that lives on a token; its configuration service may be slow, or down. */
class Worker {
  token = ''
  #down = false

  configure(token: string): void {
    if (this.#down) throw new Error('the configuration service is down')
    this.token = token
  }

  set down(down: boolean) {
    this.#down = down
  }
}

const worker = new Worker()
const tokens = new Tokenwright({
  store: new MemoryTokenStore(),
  keys: generateSecret(),
  rotation: {
    hookTimeout: '2s',
    attempts: 2,
    hooks: { WORKER: { publish: ({ token }) => worker.configure(token) } },
  },
  onEvent: [{ name: 'pager', handler: (event) => console.log('paged:', event.name) }],
})

for (const service of ['WORKER', 'MOBILE', 'PARTNER']) {
  const { token } = await tokens.generate({ service, owner: 'shop' })
  if (service === 'WORKER') worker.configure(token)
}
const leaked = worker.token

// The switch comes first: although publishing fails, the leaked value is dead.
worker.down = true
const { token, rotation } = await tokens.rotate('WORKER', {
  grace: 0,
  actor: 'alice',
  reason: 'INC-42: in a public log',
})
console.log('rotation:', rotation.status, rotation.failure?.code)
assert.equal(rotation.status, 'stalled')
const old = await tokens.verify(leaked)
assert.equal(old.ok ? 'ok' : old.code, 'revoked')

// The worker is back: the rotation goes on with the value that it had.
worker.down = false
const [resumed] = await tokens.rotator.resume(rotation.id, { token })
assert.equal(resumed?.status, 'done')
assert.equal(worker.token, token)

// Nobody knows what else was in that log: the team's other tokens follow, each new value to its owner.
const mail = new Map<string, string>()
const report = await tokens.rotator.bulkRotate({
  where: { owner: 'shop' },
  filter: ({ service }) => service !== 'WORKER',
  grace: 0,
  batchId: 'INC-42',
  actor: 'alice',
  reason: 'INC-42',
  onRotated: ({ service, token: fresh }) => mail.set(service, fresh),
})
console.log('in bulk:', report.rotated, 'rotated,', report.failed.length, 'failed')
assert.deepEqual([...mail.keys()].sort(), ['MOBILE', 'PARTNER'])

const { items } = await tokens.rotator.history('WORKER')
for (const { id, status, reason } of items) console.log('history:', id, status, reason)
await tokens.tick()
await tokens.close()
