// Commits as fast as it can and prints what was acknowledged, until it is killed.
import { writeSync } from 'node:fs'
import { FileTokenStore } from '../../../src/file/file-token-store.ts'
import { account, draft, event, leaseKind } from '../../../src/testing/store-suite/kit.ts'

const [path = '', name = ''] = process.argv.slice(2)
const store = await FileTokenStore.open(path)
let next = 0

async function work(): Promise<never> {
  for (;;) {
    const id = `${name}-${next++}`
    // Three records and an event: all of them, or none.
    const pair = { kind: leaseKind, id: `${id}/l`, value: { holder: id, endsAt: next } }
    await store.commit(draft([account(id, 0), account(`${id}/b`, 0), pair], { id, outbox: [event(`${id}/e`, name)] }))
    writeSync(1, `${id}\n`)
  }
}

await Promise.all(Array.from({ length: 16 }, work))
