import { InvalidInputError } from '../kernel/errors.ts'
import type { RateLimit } from '../tokens/policy.ts'
import type { LimitState } from '../tokens/verification.ts'
import { type Gauge, gaugesFor, remainingUnits, untilFull, waitFor } from './gcra.ts'
import type { Reservation } from './rate-limiter.ts'

/** What a server that keeps levels is asked to do with one key, all at once. */
export interface LevelsRequest {
  readonly key: string
  readonly gauges: readonly Gauge[]
  /** Units to add; negative = to take back. */
  readonly cost: number
  /** Whether they are added; false = only whether they could be. */
  readonly take: boolean
}

/** What it answers. */
export interface LevelsAnswer {
  readonly granted: boolean
  /** The level of each gauge now, in their order. */
  readonly levels: readonly number[]
}

class LevelReservation implements Reservation {
  readonly granted: boolean
  readonly key: string
  readonly gauges: readonly Gauge[]
  /** What can still be given back. */
  cost: number
  readonly #levels: readonly number[]
  readonly #asked: number

  constructor({ key, gauges, cost, take }: LevelsRequest, { granted, levels }: LevelsAnswer) {
    this.granted = granted
    this.key = key
    this.gauges = gauges
    this.cost = granted && take ? cost : 0
    this.#asked = cost
    this.#levels = levels
  }

  get retryAfterMs(): number | undefined {
    if (this.granted) return undefined
    let longest = 0
    for (let i = 0; i < this.gauges.length; i++) {
      const wait = waitFor(this.gauges[i] as Gauge, this.#levels[i] as number, this.#asked)
      if (wait === undefined) return undefined
      longest = Math.max(longest, wait)
    }
    return longest
  }

  states(): LimitState[] {
    return this.gauges.map((gauge, i): LimitState => {
      const level = this.#levels[i] as number
      const { name, limit, per } = gauge.limit
      return {
        name,
        kind: 'rate',
        limit,
        per,
        remaining: remainingUnits(gauge, level),
        resetMs: untilFull(gauge, level),
      }
    })
  }
}

/**
 * What limiters have in common whose levels are kept by a server: the arithmetic is `access/gcra.ts`, worked out there,
 * and its answer is read here.
 */
export class SharedLimits {
  readonly #ask: (request: LevelsRequest) => Promise<LevelsAnswer>

  /** @param ask - asks the server, in one round trip */
  constructor(ask: (request: LevelsRequest) => Promise<LevelsAnswer>) {
    this.#ask = ask
  }

  /**
   * Reserves units of every limit, or of none; or only tells whether they could be.
   *
   * @throws InvalidInputError when `cost` is not a whole number from 0
   */
  async reserve(key: string, limits: readonly RateLimit[], cost: number, take: boolean): Promise<Reservation> {
    if (!Number.isSafeInteger(cost) || cost < 0) {
      throw new InvalidInputError('cost', 'is not a whole number from 0', 'give a number of units')
    }
    const request: LevelsRequest = { key, gauges: gaugesFor(limits), cost, take }
    return new LevelReservation(request, await this.#ask(request))
  }

  /** Gives a granted reservation back. Again, or for a refused one: nothing happens. */
  async giveBack(reservation: Reservation): Promise<void> {
    if (!(reservation instanceof LevelReservation) || reservation.cost === 0) return
    const { key, gauges, cost } = reservation
    reservation.cost = 0
    await this.#ask({ key, gauges, cost: -cost, take: true })
  }
}
