import { describe } from 'vitest'
import { defaults } from './fixture.ts'

// Whether an update keeps or clears what it leaves out is told both ways of Cloudflare. The other files run where it keeps; here
// everything runs once more where it clears.
defaults.omission = 'clear'

describe('where an update clears what it leaves out', async () => {
  await import('./check.test.ts')
  await import('./apply.test.ts')
  await import('./rails.test.ts')
  await import('./life.test.ts')
  await import('./limits.test.ts')
})
