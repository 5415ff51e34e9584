import { type Attribution, checkAttribution, retryStale } from '../stores/commit.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import { keyKind } from '../stores/key-check.ts'
import { KeyRing } from '../tokens/key-ring.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import { endOf } from '../tokens/versions.ts'
import type { IssuingEvents } from './events.ts'
import { sealContext } from './new-token.ts'

/** What hangs on one key. */
export interface KeyUse {
  readonly id: string
  /** New digests and seals are made under it. */
  readonly active: boolean
  /** Whether the ring has it; a store may remember keys that were taken out. */
  readonly inRing: boolean
  /** When it stops proving anything, epoch ms. */
  readonly retireAt?: number
  /** Live versions with a digest under it. */
  readonly versions: number
  /** Of those, the versions that no other key of the ring proves: they die with it. */
  readonly only: number
  /** Live versions whose sealed copy needs it. */
  readonly sealed: number
}

/** What hangs on the keys and on imported digests. */
export interface KeyStatus {
  readonly keys: readonly KeyUse[]
  /** Live versions by the scheme of their imported digest. */
  readonly schemes: { readonly [scheme: string]: number }
  /** In plain words: keys whose retirement would strand live versions. */
  readonly warnings: readonly string[]
}

/** What {@link KeyManager.rekey} did. */
export interface RekeyReport {
  /** Tokens read. */
  readonly checked: number
  /** Tokens that were changed. */
  readonly changed: number
}

const PAGE = 500

/** Shows what hangs on each key of the ring, and moves sealed copies and digests to the active one. */
export class KeyManager {
  readonly #base: Foundation<IssuingEvents>

  /**
   * @param options - store and keys
   * @throws InvalidInputError for bad options
   */
  constructor(options: FoundationSource<IssuingEvents>) {
    this.#base = Foundation.of(options)
  }

  /** Counts live versions by key and scheme. Reads every live token: for an operator, not for a health check. */
  async status(): Promise<KeyStatus> {
    const { store, keys, clock } = this.#base
    await this.#base.ready()
    const now = clock.now()
    const uses = new Map<string, { versions: number; only: number; sealed: number }>()
    for (const id of keys.ids) uses.set(id, { versions: 0, only: 0, sealed: 0 })
    const seen = await store.list(keyKind, { index: 'since', limit: 1000 })
    for (const { id } of seen.items) if (!uses.has(id)) uses.set(id, { versions: 0, only: 0, sealed: 0 })
    const schemes: Record<string, number> = {}
    for await (const { value: token } of this.#tokens()) {
      if (token.revoked !== undefined) continue
      for (const version of token.versions) {
        if (version.state === 'retired' || now >= endOf(version, token.lifetime)) continue
        const ids = Object.keys(version.digests)
        const provers = ids.filter((id) => id.startsWith(':') || now < (keys.retireAt(id) ?? 0))
        for (const id of ids) {
          if (id.startsWith(':')) schemes[id.slice(1)] = (schemes[id.slice(1)] ?? 0) + 1
          else count(uses, id, 'versions')
        }
        if (provers.length === 1 && !provers[0]?.startsWith(':')) count(uses, provers[0] as string, 'only')
        if (version.sealed !== undefined) count(uses, KeyRing.sealedBy(version.sealed), 'sealed')
      }
    }
    const list = [...uses].map(([id, use]): KeyUse => {
      const retireAt = keys.retireAt(id)
      return {
        id,
        active: id === keys.activeId,
        inRing: retireAt !== undefined,
        ...(retireAt !== undefined && Number.isFinite(retireAt) && { retireAt }),
        ...use,
      }
    })
    const warnings = list
      .filter((key) => key.only > 0 && key.retireAt !== undefined)
      .map(
        (key) =>
          `key '${key.id}' retires at ${new Date(key.retireAt as number).toISOString()}, and ${key.only} live version(s) have no other proof: they must be used once before, or rotated`,
      )
    return { keys: list, schemes, warnings }
  }

  /**
   * Seals anew under the active key what another key sealed, gives those versions a digest under it, and lets go of
   * digests whose key has retired or left the ring, and of imported ones, where another proof stands. Can be repeated,
   * and stopped by `signal` between two tokens.
   *
   * @throws UnsealError when a sealed copy can't be opened; tokens before it are done
   */
  async rekey(options: Attribution & { readonly signal?: AbortSignal } = {}): Promise<RekeyReport> {
    const { signal, ...by } = options
    checkAttribution(by)
    await this.#base.ready()
    let checked = 0
    let changed = 0
    for await (const { id } of this.#tokens()) {
      signal?.throwIfAborted()
      checked += 1
      if (await this.#rekeyOne(id, by)) changed += 1
    }
    return { checked, changed }
  }

  #rekeyOne(id: string, by: Attribution): Promise<boolean> {
    const { store, commits } = this.#base
    return retryStale(async () => {
      const stored = await store.get(tokenKind, id)
      if (stored === undefined || stored.value.revoked !== undefined) return false
      const { value: token, revision } = stored
      const versions = token.versions.map((version) => this.#rekeyed(token, version))
      if (versions.every((version, i) => version === token.versions[i])) return false
      await commits.write(by, [
        { kind: tokenKind, id, revision, to: { value: { ...token, versions } }, action: 'token.rekeyed' },
      ])
      return true
    })
  }

  #rekeyed(token: TokenRecord, version: TokenVersion): TokenVersion {
    const { keys, random, clock } = this.#base
    let { sealed } = version
    const digests: Record<string, string> = { ...version.digests }
    if (sealed !== undefined && KeyRing.sealedBy(sealed) !== keys.activeId) {
      const context = sealContext(token.id, version.n)
      const text = keys.unseal(sealed, context)
      sealed = keys.seal(text, context, random)
      digests[keys.activeId] = keys.digest(text)
    }
    const standing = Object.keys(digests).filter((id) => clock.now() < (keys.retireAt(id) ?? 0))
    if (standing.length > 0) for (const id of Object.keys(digests)) if (!standing.includes(id)) delete digests[id]
    const same = sealed === version.sealed && Object.keys(digests).join() === Object.keys(version.digests).join()
    return same ? version : { ...version, digests, ...(sealed !== undefined && { sealed }) }
  }

  async *#tokens(): AsyncGenerator<{ readonly id: string; readonly value: TokenRecord }> {
    for (let cursor: string | undefined; ; ) {
      const page = await this.#base.store.list(tokenKind, { index: 'created', limit: PAGE, cursor })
      yield* page.items
      cursor = page.cursor
      if (cursor === undefined) return
    }
  }
}

function count(
  uses: Map<string, { versions: number; only: number; sealed: number }>,
  id: string,
  what: 'versions' | 'only' | 'sealed',
): void {
  const use = uses.get(id) ?? { versions: 0, only: 0, sealed: 0 }
  use[what] += 1
  uses.set(id, use)
}
