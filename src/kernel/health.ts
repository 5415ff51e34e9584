import { abbreviated, codeOf, InvalidInputError } from './errors.ts'

/** How one part of the whole is. */
export interface HealthSource {
  readonly status: 'healthy' | 'degraded' | 'unhealthy' | 'unknown'
  /** In plain words, when it isn't healthy. */
  readonly reasons: readonly string[]
}

/** Nothing to complain of. */
export const HEALTHY: HealthSource = Object.freeze({
  status: 'healthy',
  reasons: Object.freeze([]) as readonly string[],
})

/** How the whole is: the worst of its parts. */
export interface Health extends HealthSource {
  readonly sources: { readonly [name: string]: HealthSource }
}

/** Best first. What can't be known isn't healthy, and not known to be worse either. */
const RANKS = ['healthy', 'unknown', 'degraded', 'unhealthy'] as const

/** The parts of a whole, asked together. */
export class HealthSources {
  readonly #sources = new Map<string, () => HealthSource | Promise<HealthSource>>()

  /**
   * Adds a part.
   *
   * @throws InvalidInputError when there is one of that name
   */
  add(name: string, source: () => HealthSource | Promise<HealthSource>): void {
    if (this.#sources.has(name)) {
      throw new InvalidInputError('name', `'${abbreviated(name)}' is taken`, 'choose another name')
    }
    this.#sources.set(name, source)
  }

  /** Asks every part. Never throws: one that throws or rejects is `unknown`. */
  async ask(): Promise<Health> {
    const sources: Record<string, HealthSource> = {}
    const asked = [...this.#sources].map(async ([name, source]) => {
      try {
        sources[name] = await source()
      } catch (error) {
        sources[name] = { status: 'unknown', reasons: [`it can't be asked (${codeOf(error)})`] }
      }
    })
    await Promise.all(asked)
    const worst = Math.max(...Object.values(sources).map((source) => RANKS.indexOf(source.status)))
    const reasons = Object.entries(sources).flatMap(([name, source]) =>
      source.reasons.map((reason) => `${name}: ${reason}`),
    )
    return { status: RANKS[worst] ?? 'unknown', reasons, sources }
  }
}
