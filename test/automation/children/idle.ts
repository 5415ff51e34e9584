// Does nothing but have a scheduler: it must not keep the process alive.
import { MemoryTokenStore, Tokenwright } from '../../../src/index.ts'
import { KEYS } from '../fixture.ts'

const tokens = new Tokenwright({ store: new MemoryTokenStore(), keys: KEYS, tickInterval: '1s' })
await tokens.rules.create({ name: 'r', action: 'cleanup', schedule: 'daily' })
await tokens.tick()
tokens.scheduler.start()
process.stdout.write('started\n')
