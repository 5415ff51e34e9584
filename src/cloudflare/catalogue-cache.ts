import { type Clock, MAX_TIMER_MS } from '../kernel/clock.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { PermissionCatalogue } from './catalogue.ts'

interface Entry {
  readonly catalogue: Promise<PermissionCatalogue>
  readonly until: number
}

/**
 * The catalogue of accounts' tokens and that of users' tokens, each read once for everybody who asks meanwhile. The groups and
 * their ids are the same in every account.
 */
export class CatalogueCache {
  readonly #api: CloudflareApi
  readonly #clock: Clock
  readonly #ttl: number
  readonly #entries = new Map<string, Entry>()

  /**
   * @param api - reads it
   * @param clock - tells how old it is
   * @param ttl - how long it is good for, ms
   */
  constructor(api: CloudflareApi, clock: Clock, ttl: number) {
    this.#api = api
    this.#clock = clock
    this.#ttl = ttl
  }

  /**
   * The catalogue of a family.
   *
   * @throws CloudflareApiError, CatalogueIncompleteError
   */
  get(family: Family, run: Run): Promise<PermissionCatalogue> {
    const now = this.#clock.now()
    let entry = this.#entries.get(family.kind)
    if (entry === undefined || now >= entry.until) {
      // Others may wait for it too: one who gives up must not end it.
      const catalogue = this.#api
        .permissionGroups(family, { budget: run.budget, signal: undefined })
        .then(({ result, totalCount }) => new PermissionCatalogue(result, totalCount))
      entry = { catalogue, until: now + this.#ttl }
      this.#entries.set(family.kind, entry)
      catalogue.catch(() => {
        // A failure is nobody's to keep.
        if (this.#entries.get(family.kind)?.catalogue === catalogue) this.#entries.delete(family.kind)
      })
    }
    const { catalogue } = entry
    return run.signal === undefined ? catalogue : withTimeLimit(this.#clock, MAX_TIMER_MS, () => catalogue, run.signal)
  }
}
