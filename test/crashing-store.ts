import { type Commit, StoreUnavailableError, type TokenStore } from '../src/index.ts'

/**
 * A store as a process sees it that dies at its `at`-th commit: before it is done, or after, so that the answer is
 * lost. From then on nothing of that process reaches the store.
 */
export class CrashingStore {
  readonly store: TokenStore
  /** Commits asked for so far. */
  commits = 0
  dead = false

  constructor(inner: TokenStore, at: number, when: 'before' | 'after') {
    const died = () => new StoreUnavailableError('the process died here')
    const commit = async (input: Commit) => {
      this.commits += 1
      if (this.commits !== at) return inner.commit(input)
      if (when === 'after') await inner.commit(input)
      this.dead = true
      throw died()
    }
    this.store = new Proxy(inner, {
      get: (target, name) => {
        const value: unknown = name === 'commit' ? commit : Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        return (...args: unknown[]) => {
          if (this.dead && name !== 'watch' && name !== 'durability') throw died()
          return value.apply(target, args) as unknown
        }
      },
    })
  }
}
