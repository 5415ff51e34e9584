import { DONE, Refusal, type SimulatedAnswer, type SimulatedRequest } from './answer.ts'
import { secondsOf } from './time.ts'

interface Quota {
  readonly path: string
  readonly rate: number
  readonly intervalMs: number
  windowFrom: number
  taken: number
}

/** Rate limits by path. */
export class Quotas {
  readonly #quotas = new Map<string, Quota>()
  #headers = false

  /** `sys/quotas/…` */
  routes({ method, body }: SimulatedRequest, rest: string): SimulatedAnswer {
    if (rest === 'config') {
      this.#headers = body['enable_rate_limit_response_headers'] === true
      return DONE
    }
    const name = rest.slice('rate-limit/'.length)
    if (!rest.startsWith('rate-limit/') || name === '') throw new Refusal(404, ['no handler for route'])
    if (method === 'DELETE') this.#quotas.delete(name)
    else {
      const intervalMs = (secondsOf(body['interval']) || 1) * 1000
      const path = String(body['path'] ?? '')
      this.#quotas.set(name, { path, rate: Number(body['rate']), intervalMs, windowFrom: 0, taken: 0 })
    }
    return DONE
  }

  /** Takes one of each limit that a path falls under. */
  take(path: string, now: number): void {
    for (const quota of this.#quotas.values()) {
      if (!path.startsWith(quota.path)) continue
      if (now >= quota.windowFrom + quota.intervalMs) Object.assign(quota, { windowFrom: now, taken: 0 })
      if (quota.taken < quota.rate) {
        quota.taken += 1
        continue
      }
      const seconds = Math.floor((quota.windowFrom + quota.intervalMs - now) / 1000)
      const headers = { 'retry-after': String(seconds), 'x-ratelimit-limit': String(quota.rate) }
      const text = `request path "${path}": rate limit quota exceeded`
      throw new Refusal(429, [text], this.#headers ? headers : {})
    }
  }
}
