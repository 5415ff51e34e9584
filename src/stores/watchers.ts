import type { StoreChange } from './token-store.ts'

/** Those who watch a store. One that throws or rejects hurts nobody. */
export class Watchers {
  readonly #listeners = new Set<{ readonly onChange: (change: StoreChange) => unknown }>()

  get size(): number {
    return this.#listeners.size
  }

  /** Adds a listener; answers the way to stop. */
  add(onChange: (change: StoreChange) => unknown): () => void {
    // A wrapper of its own, so that the same function may listen twice.
    const entry = { onChange }
    this.#listeners.add(entry)
    return () => void this.#listeners.delete(entry)
  }

  tell(kind: string, id: string): void {
    if (this.#listeners.size === 0) return
    const change = Object.freeze({ kind, id })
    for (const { onChange } of [...this.#listeners]) {
      try {
        const answer = onChange(change)
        if (answer instanceof Promise) answer.catch(ignore)
      } catch {
        // The commit stands, whatever a watcher makes of it.
      }
    }
  }

  clear(): void {
    this.#listeners.clear()
  }
}

function ignore(): void {}
