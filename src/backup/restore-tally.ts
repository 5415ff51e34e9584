import { type Fate, REFUSED, WRITTEN } from './judge.ts'

/** How many examples are kept of each fate of each kind. */
const EXAMPLES = 5

/** How many records of each kind have which fate. */
export type FateCounts = { readonly [kind: string]: { readonly [fate in Fate]?: number } }

/** A record that has a fate. */
export interface FateExample {
  readonly id: string
  /** What its users call it, where it has a name. */
  readonly name?: string
}

/** Some records of each kind and fate. */
export type FateExamples = { readonly [kind: string]: { readonly [fate in Fate]?: readonly FateExample[] } }

/** Counts what becomes of the records of a restore. */
export class RestoreTally {
  readonly #counts: { [kind: string]: { [fate in Fate]?: number } } = {}
  readonly #examples: { [kind: string]: { [fate in Fate]?: FateExample[] } } = {}

  /** Counts a record. */
  add(kind: string, fate: Fate, id: string, name: string | undefined): void {
    const counts = this.#of(kind)
    counts[fate] = (counts[fate] ?? 0) + 1
    const examples = this.#examples[kind] ?? {}
    this.#examples[kind] = examples
    const some = examples[fate] ?? []
    examples[fate] = some
    if (some.length < EXAMPLES) some.push(name === undefined ? { id } : { id, name })
  }

  /** How many records have one of these fates. */
  total(fates: readonly Fate[]): number {
    let total = 0
    for (const counts of Object.values(this.#counts)) for (const fate of fates) total += counts[fate] ?? 0
    return total
  }

  /** Takes over what another go at the same archive has brought: what it wrote, and which conflicts are left. */
  settle(later: RestoreTally): void {
    for (const [kind, theirs] of Object.entries(later.#counts)) {
      const ours = this.#of(kind)
      for (const fate of WRITTEN) {
        if (theirs[fate] !== undefined) ours[fate] = (ours[fate] ?? 0) + theirs[fate]
      }
    }
    for (const [kind, ours] of Object.entries(this.#counts)) {
      const examples = this.#examples[kind] ?? {}
      const left = later.#counts[kind]?.conflict
      if (left === undefined) {
        delete ours.conflict
        delete examples.conflict
      } else {
        ours.conflict = left
        examples.conflict = later.#examples[kind]?.conflict ?? []
      }
    }
  }

  get written(): number {
    return this.total(WRITTEN) - this.removed
  }

  get removed(): number {
    return this.total(['remove'])
  }

  get refused(): number {
    return this.total(REFUSED)
  }

  get counts(): FateCounts {
    return structuredClone(this.#counts)
  }

  get examples(): FateExamples {
    return structuredClone(this.#examples)
  }

  #of(kind: string): { [fate in Fate]?: number } {
    const counts = this.#counts[kind] ?? {}
    this.#counts[kind] = counts
    return counts
  }
}
