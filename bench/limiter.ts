import { parseRateLimits } from '../src/access/rate-limits.ts'
import { generateSecret, KeyRing, LocalRateLimiter, systemClock } from '../src/index.ts'
import { systemRandom } from '../src/kernel/random.ts'
import { generateText, parseFormat } from '../src/tokens/format.ts'
import { measure, rawHmac } from './measure.ts'
import type { Report } from './result.ts'

const KEYS = 4096

/** Takes units from the process's own limiter: by the slot that a verifier holds, by key, and with a reservation. */
export async function limiterSection(report: Report): Promise<void> {
  const clock = systemClock()
  const ring = KeyRing.from(generateSecret())
  const format = parseFormat({})
  const h = rawHmac(
    ring.subkey('digest'),
    Array.from({ length: 64 }, () => generateText(format, systemRandom())),
  )
  const limits = parseRateLimits('rateLimit', { limit: 1000, per: '1h', burst: 1_000_000_000 })
  const limiter = new LocalRateLimiter({ clock })
  const keys = Array.from({ length: KEYS }, (_, i) => `tok_${i}`)
  const slots = keys.map((key) => limiter.state(key, limits, clock.now()))

  const bySlot = (i: number) => limiter.reserveSlot(slots[i % KEYS] as (typeof slots)[0], limits, 1, clock.now())
  report('limiter.slot', await measure({ run: bySlot }, h), 'as a verification does, clock included')
  const byKey = (i: number) => {
    const now = clock.now()
    return limiter.reserveSlot(limiter.state(keys[i % KEYS] as string, limits, now), limits, 1, now)
  }
  report('limiter.key', await measure({ run: byKey }, h))
  const reserve = (i: number) => limiter.reserve(keys[i % KEYS] as string, limits, 1).granted
  report('limiter.reserve', await measure({ run: reserve }, h))
}
