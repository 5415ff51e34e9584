import type { Clock } from '../kernel/clock.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import { PermissionCatalogue } from './catalogue.ts'
import { sharedWait } from './shared-wait.ts'

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
   * @throws CloudflareApiError, CatalogueIncompleteError; the signal's reason
   */
  async get(family: Family, run: Run): Promise<PermissionCatalogue> {
    run.signal?.throwIfAborted()
    const now = this.#clock.now()
    let entry = this.#entries.get(family.kind)
    if (entry === undefined || now >= entry.until) {
      // Without the run's signal: others may wait for it too.
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
    return sharedWait(this.#clock, entry.catalogue, run.signal)
  }
}
