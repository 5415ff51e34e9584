import { quotaKind } from '../access/quota.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { checkFields } from '../kernel/fields.ts'
import { Turns } from '../kernel/turn.ts'
import { type Attribution, checkAttribution, retryStale } from '../stores/commit.ts'
import type { Foundation } from '../stores/foundation.ts'
import type { Write } from '../stores/token-store.ts'
import { activityId, activityKind } from '../stores/usage-rows.ts'
import { digestKeys } from '../tokens/digest.ts'
import { endOfToken, RETIRED_RETENTION, tokenKind } from '../tokens/record.ts'
import { prune, settle } from '../tokens/versions.ts'
import { eventOf, type IssuingEvents } from './events.ts'

/** What to clean up. */
export interface CleanupOptions extends Attribution {
  /** How long ended tokens stay. Default 30 d. */
  readonly retention?: Duration | undefined
}

/** What a cleanup did. */
export interface CleanupReport {
  /** Tokens removed for good. */
  readonly removed: number
  /** Tokens whose old versions were put away. */
  readonly tidied: number
  /** Whether there is more to do; call again. */
  readonly more: boolean
}

/** Tokens read in one run, of each sort. */
const PER_RUN = 250

/** Removes tokens that ended long ago, and puts away versions that did. */
export class Cleanup {
  readonly #base: Foundation<IssuingEvents>

  /** @param base - store, time and events */
  constructor(base: Foundation<IssuingEvents>) {
    this.#base = base
  }

  /** Does a bounded amount of what is due. */
  async run(options: CleanupOptions): Promise<CleanupReport> {
    checkFields('options', options, ['actor', 'reason', 'retention'])
    const by = checkAttribution(options)
    const retention = parseDuration('retention', options.retention ?? RETIRED_RETENTION, { allowZero: true })
    const now = this.#base.clock.now()
    await this.#base.ready()
    const due = await this.#base.store.list(tokenKind, { index: 'removable', to: now - retention + 1, limit: PER_RUN })
    const turns = new Turns(this.#base.clock)
    let removed = 0
    for (const { id } of due.items) {
      await turns.due()
      if (await this.#remove(id, by, now - retention)) removed += 1
    }
    const untidy = await this.#base.store.list(tokenKind, { index: 'housekeeping', to: now + 1, limit: PER_RUN })
    let tidied = 0
    for (const { id } of untidy.items) {
      await turns.due()
      if (await this.#tidy(id, by, now)) tidied += 1
    }
    return { removed, tidied, more: due.cursor !== undefined || untidy.cursor !== undefined }
  }

  async #remove(id: string, by: Attribution, before: number): Promise<boolean> {
    const { store, clock } = this.#base
    return retryStale(async () => {
      const stored = await store.get(tokenKind, id)
      if (stored === undefined || endOfToken(stored.value) > before) return false
      const { value: token, revision } = stored
      const tombstone = {
        endedAt: endOfToken(token),
        reason: token.revoked ? 'revoked' : 'expired',
        digests: token.versions.flatMap((version) => digestKeys(version.digests)),
      }
      const gone: Write[] = token.versions.map((v) => ({ kind: activityKind, id: activityId(id, v.n), remove: true }))
      gone.push({ kind: quotaKind, id, remove: true })
      const change = { kind: tokenKind, id, revision, to: { tombstone }, action: 'token.removed' }
      const payload = eventOf(token, by, clock.now())
      await this.#base.write(by, [change], [{ name: 'token.removed', about: id, payload }], gone)
      return true
    })
  }

  async #tidy(id: string, by: Attribution, now: number): Promise<boolean> {
    const { store, commits } = this.#base
    return retryStale(async () => {
      const stored = await store.get(tokenKind, id)
      if (stored === undefined) return false
      const { value: token, revision } = stored
      const versions = prune(settle(token.versions, token.lifetime, now), now, RETIRED_RETENTION)
      if (versions === token.versions) return false
      await commits.write(by, [
        { kind: tokenKind, id, revision, to: { value: { ...token, versions } }, action: 'token.tidied' },
      ])
      return true
    })
  }
}
