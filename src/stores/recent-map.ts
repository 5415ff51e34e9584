/**
 * A map that remembers at least the last `limit` entries and at most twice as many. Two maps that take turns: deleting
 * one old entry at a time would make a Map slow.
 */
export class RecentMap<V> {
  readonly #limit: number
  #young = new Map<string, V>()
  #old = new Map<string, V>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get(key: string): V | undefined {
    return this.#young.get(key) ?? this.#old.get(key)
  }

  set(key: string, value: V): void {
    if (this.#young.size >= this.#limit) {
      this.#old = this.#young
      this.#young = new Map()
    }
    this.#young.set(key, value)
  }
}
