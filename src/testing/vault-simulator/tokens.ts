import { denied, Refusal } from './answer.ts'
import { randomText } from './identifiers.ts'
import type { SimulatedNamespace } from './namespaces.ts'

/** A token as the simulator holds it. Times are epoch ms and ms. */
export interface SimulatedToken {
  readonly text: string
  readonly accessor: string
  readonly type: 'service' | 'batch'
  readonly policies: readonly string[]
  readonly path: string
  readonly meta: { readonly [name: string]: string } | null
  readonly displayName: string
  readonly orphan: boolean
  readonly parent: SimulatedToken | undefined
  readonly namespace: SimulatedNamespace
  readonly entity: string
  /** Whether it is the first root token of a server, which has no lease at all. */
  readonly initial: boolean
  readonly issued: number
  readonly creationTtl: number
  readonly period: number
  readonly explicitMax: number
  readonly renewable: boolean
  /** The role of auth/token that made it. */
  readonly role: string | undefined
  /** What a renewal of a login's token goes by; absent for those of auth/token. */
  readonly renewBy: (() => { readonly ttl: number; readonly max: number; readonly period: number }) | undefined
  /** Undefined for one without an end. */
  expires: number | undefined
  /** The time that was granted last. */
  ttl: number
  lastRenewal: number | undefined
  /** 0 = unlimited; -1: the last use is under way. */
  uses: number
  /** What it could be used for when new; answers of renewals tell this. */
  readonly firstUses: number
  readonly cidrs: readonly string[]
}

/** What a token is made from. */
export type NewToken = Omit<SimulatedToken, 'text' | 'accessor' | 'firstUses' | 'lastRenewal'> & {
  readonly text?: string | undefined
}

/** All tokens of a simulated server. */
export class SimulatedTokens {
  readonly #byText = new Map<string, SimulatedToken>()
  readonly #now: () => number
  readonly #onRevoked: (token: SimulatedToken) => void

  /**
   * @param now - the server's time, epoch ms
   * @param onRevoked - told of each token that ends
   */
  constructor(now: () => number, onRevoked: (token: SimulatedToken) => void) {
    this.#now = now
    this.#onRevoked = onRevoked
  }

  /** How many live. */
  get size(): number {
    this.sweep()
    return this.#byText.size
  }

  /** Ends all whose time is over. */
  sweep(): void {
    for (const token of [...this.#byText.values()]) this.#expire(token)
  }

  /** Makes a token. */
  add(token: NewToken): SimulatedToken {
    const suffix = token.namespace.id === 'root' ? '' : `.${token.namespace.id}`
    const batch = token.type === 'batch'
    const text = token.text ?? (batch ? `b.${randomText(130)}` : `s.${randomText(24)}`) + suffix
    const accessor = batch ? '' : randomText(24) + suffix
    const made: SimulatedToken = { ...token, text, accessor, firstUses: token.uses, lastRenewal: undefined }
    this.#byText.set(text, made)
    return made
  }

  /** The token of a request; it costs one use. */
  use(text: string | undefined): SimulatedToken {
    const token = text === undefined ? undefined : this.find(text)
    // Nobody is at 10.9.9.9: a token that is bound to some address is bound to another.
    if (token === undefined || token.uses < 0 || token.cidrs.length > 0) throw denied()
    if (token.uses > 0) token.uses = token.uses === 1 ? -1 : token.uses - 1
    return token
  }

  /** A use is over: one that has none left ends. */
  used(token: SimulatedToken): void {
    if (token.uses < 0) this.revoke(token)
  }

  /** A live token by its text. */
  find(text: string): SimulatedToken | undefined {
    const token = this.#byText.get(text)
    return token === undefined || this.#expire(token) ? undefined : token
  }

  /** A live token by its accessor. */
  byAccessor(accessor: string): SimulatedToken | undefined {
    for (const token of this.#byText.values()) {
      if (token.accessor === accessor && accessor !== '' && !this.#expire(token)) return token
    }
    return undefined
  }

  /** Ends a token with its children and leases. */
  revoke(token: SimulatedToken): void {
    if (!this.#byText.delete(token.text)) return
    this.#onRevoked(token)
    for (const child of [...this.#byText.values()]) if (child.parent === token && !child.orphan) this.revoke(child)
  }

  /** Ends a token whose time is over, or its parent's. */
  #expire(token: SimulatedToken): boolean {
    const { expires, orphan, parent } = token
    const over = expires !== undefined && expires <= this.#now()
    if (!over && (orphan || parent === undefined || !this.#expire(parent))) return false
    this.revoke(token)
    return true
  }
}

/** Policies without repetitions, in order, with `default` where it belongs. */
export function policiesOf(given: unknown, withDefault: boolean): string[] {
  const list = typeof given === 'string' ? given.split(',') : Array.isArray(given) ? given.map(String) : []
  const names = new Set(list.map((name) => name.trim()).filter((name) => name !== ''))
  if (withDefault && !names.has('root')) names.add('default')
  return [...names].sort()
}

/** Refuses what batch tokens can't have. */
export function refuseForBatch(field: string, present: boolean): void {
  if (present) throw new Refusal(400, [`batch tokens cannot have "${field}" set`])
}
