import { createPublicKey, type KeyObject } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'

/** What is needed of an answer of `fetch`. */
export interface KeysResponse {
  /** Whether its status is one of success. */
  readonly ok: boolean
  /** Its body. */
  text(): Promise<string>
}

/** What is needed of `fetch`. */
export type FetchKeys = (
  url: string,
  init: {
    readonly headers: { readonly [name: string]: string }
    readonly signal: AbortSignal
    readonly redirect: 'error'
  },
) => Promise<KeysResponse>

/** Where GitHub publishes the keys that it signs its findings with. */
export const GITHUB_KEYS_URL = 'https://api.github.com/meta/public_keys/secret_scanning'

/** A list that is longer isn't GitHub's. */
const MAX_LIST = 65_536
const MAX_KEYS = 100
const TIME_LIMIT = 10_000
/** After a list was asked for, a key that isn't in it can't be new for so long. */
const PATIENCE = 60_000
/** A key that GitHub withdraws isn't believed for longer than this. */
const MAX_AGE = 3_600_000

/** The keys that GitHub signs its findings with: fetched when one is needed, kept for an hour. */
export class GithubKeys {
  readonly #clock: Clock
  readonly #fetch: FetchKeys
  readonly #url: string
  readonly #headers: { readonly [name: string]: string }
  #keys: ReadonlyMap<string, KeyObject> = new Map()
  #fetchedAt = Number.NEGATIVE_INFINITY
  #askedAt = Number.NEGATIVE_INFINITY
  #asking: Promise<void> | undefined

  /**
   * @param clock - ages and time limits
   * @param fetch - how to get them
   * @param url - from where
   */
  constructor(clock: Clock, fetch: FetchKeys, url: string) {
    this.#clock = clock
    this.#fetch = fetch
    this.#url = url
    this.#headers = { accept: 'application/json', 'user-agent': 'tokenwright' }
  }

  /**
   * A key by its identifier. One that isn't known makes it ask again, at most once a minute: whoever sends made-up
   * identifiers makes no more requests of it.
   *
   * @returns `undefined` for a key that GitHub doesn't have
   * @throws what `fetch` throws, or an error for an answer that can't be used; then nothing is known of the key
   */
  async get(id: string): Promise<KeyObject | undefined> {
    const now = this.#clock.monotonic()
    const fresh = now - this.#fetchedAt < MAX_AGE
    if (fresh && (this.#keys.has(id) || now - this.#askedAt < PATIENCE)) return this.#keys.get(id)
    // While GitHub doesn't answer it isn't asked for each caller anew either.
    if (this.#asking === undefined && now - this.#askedAt < PATIENCE)
      throw new Error('the keys could not be had lately')
    this.#asking ??= this.#ask(now).finally(() => {
      this.#asking = undefined
    })
    await this.#asking
    return this.#keys.get(id)
  }

  async #ask(now: number): Promise<void> {
    this.#askedAt = now
    const text = await withTimeLimit(this.#clock, TIME_LIMIT, async (signal) => {
      const response = await this.#fetch(this.#url, { headers: this.#headers, signal, redirect: 'error' })
      if (!response.ok) throw new Error('the keys were refused')
      return response.text()
    })
    this.#keys = parseKeys(text)
    this.#fetchedAt = now
  }
}

/**
 * The P-256 keys of GitHub's list; others are left out.
 *
 * @throws Error when it is no such list
 */
export function parseKeys(text: string): ReadonlyMap<string, KeyObject> {
  if (text.length > MAX_LIST) throw new Error('the list of keys is too long')
  const list: unknown = (JSON.parse(text) as { public_keys?: unknown } | null)?.public_keys
  if (!Array.isArray(list) || list.length > MAX_KEYS) throw new Error('the answer is no list of keys')
  const keys = new Map<string, KeyObject>()
  for (const entry of list as unknown[]) {
    const { key_identifier: id, key } = (entry ?? {}) as { key_identifier?: unknown; key?: unknown }
    if (typeof id !== 'string' || typeof key !== 'string') throw new Error('the list of keys has an entry that is none')
    const parsed = createPublicKey(key)
    if (parsed.asymmetricKeyDetails?.namedCurve === 'prime256v1') keys.set(id, parsed)
  }
  return keys
}
