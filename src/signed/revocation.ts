import type { Kind } from '../kernel/kind.ts'

/** A revocation of signed tokens. */
export interface RevocationRecord {
  /** `id:<jti>`, `agent:<name>` or `all`. */
  readonly target: string
  /** Tokens of the target whose id isn't greater are revoked: ids rise with time. Absent = that one token. */
  readonly upTo?: string
  /** When it was made, in the store's time, epoch ms. */
  readonly at: number
  /** When the last of the tokens would have expired, epoch ms. */
  readonly endsAt: number
  readonly reason?: string
}

/** Revocations, one a target. Journaled. */
export const revocationKind: Kind<RevocationRecord, 'made' | 'ends', 'target'> = {
  name: 'revocation',
  schema: 1,
  journaled: true,
  unique: { target: (record) => [record.target] },
  order: { made: (record) => ({ at: record.at }), ends: (record) => ({ at: record.endsAt }) },
  merge: (here, archived) => (here === undefined ? archived : wider(here, archived)),
}

/** What of two revocations of one target reaches further; `undefined` when the first does. */
function wider(here: RevocationRecord, archived: RevocationRecord): RevocationRecord | undefined {
  const upTo = (archived.upTo ?? '') > (here.upTo ?? '') ? archived.upTo : here.upTo
  const endsAt = Math.max(here.endsAt, archived.endsAt)
  if (upTo === here.upTo && endsAt === here.endsAt) return undefined
  return { ...here, ...(upTo !== undefined && { upTo }), endsAt }
}

/** The revocations of one process's memory, asked at every call. */
export class RevocationSet {
  readonly #ids = new Map<string, number>()
  readonly #agents = new Map<string, { readonly upTo: string; readonly endsAt: number }>()
  #all = { upTo: '', endsAt: 0 }
  #changes = 0

  /** Grows with every change. */
  get changes(): number {
    return this.#changes
  }

  /** How many there are. */
  get size(): number {
    return this.#ids.size + this.#agents.size + (this.#all.endsAt > 0 ? 1 : 0)
  }

  /** Takes one in; a revocation is never taken back. */
  add({ target, upTo = '', endsAt }: RevocationRecord): void {
    if (target === 'all') {
      if (upTo <= this.#all.upTo && endsAt <= this.#all.endsAt) return
      this.#all = { upTo: later(upTo, this.#all.upTo), endsAt: Math.max(endsAt, this.#all.endsAt) }
    } else if (target.startsWith('id:')) {
      const known = this.#ids.get(target.slice(3))
      if (known !== undefined && known >= endsAt) return
      this.#ids.set(target.slice(3), endsAt)
    } else {
      const name = target.slice('agent:'.length)
      const known = this.#agents.get(name)
      if (known !== undefined && upTo <= known.upTo && endsAt <= known.endsAt) return
      this.#agents.set(name, { upTo: later(upTo, known?.upTo ?? ''), endsAt: Math.max(endsAt, known?.endsAt ?? 0) })
    }
    this.#changes += 1
  }

  /** Whether a token is revoked. */
  has(id: string, agent: string): boolean {
    if (id <= this.#all.upTo || this.#ids.has(id)) return true
    const mark = this.#agents.get(agent)
    return mark !== undefined && id <= mark.upTo
  }

  /** Forgets what is over. */
  sweep(before: number): void {
    for (const [id, endsAt] of this.#ids) if (endsAt < before) this.#ids.delete(id)
    for (const [name, { endsAt }] of this.#agents) if (endsAt < before) this.#agents.delete(name)
  }
}

/** The mark that reaches further. */
export function later(a: string, b: string): string {
  return a > b ? a : b
}
