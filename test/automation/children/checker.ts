// Checks the rules of a store in a loop, by the system's clock, for a given time; prints each run that it makes.
import { RuleEngine } from '../../../src/automation/rule-engine.ts'
import { FileTokenStore } from '../../../src/file/index.ts'
import { PostgresTokenStore } from '../../../src/postgres/index.ts'
import { newPool } from '../../postgres/database.ts'
import { KEYS } from '../fixture.ts'

const [sort = '', where = '', ms = '0'] = process.argv.slice(2)
const store =
  sort === 'file'
    ? await FileTokenStore.open(where)
    : new PostgresTokenStore({ pool: newPool({ max: 4 }), schema: where, closePool: true })
const rules = new RuleEngine({ store, keys: KEYS, maxStaleness: 0, instance: String(process.pid) })
rules.action('print', ({ run, attempt }) => {
  process.stdout.write(`${run} ${attempt}\n`)
})
await rules.list()
// All begin together.
process.stdout.write('ready\n')
await new Promise((resolve) => process.stdin.once('data', resolve))
process.stdin.destroy()
const end = performance.now() + Number(ms)
while (performance.now() < end) {
  await rules.check()
  await new Promise((resolve) => setTimeout(resolve, 20))
}
await rules.close()
await store.close()
process.stdout.write('done\n')
