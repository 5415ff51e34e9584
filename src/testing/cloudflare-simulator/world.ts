import type { Clock } from '../../kernel/clock.ts'
import type { SimulatedGroupRow } from './groups.ts'
import type { SimulatedToken } from './token.ts'

/** What a test may turn while the simulator runs. */
export interface Knobs {
  readonly groups: readonly SimulatedGroupRow[]
  readonly ungrantable: ReadonlySet<string>
  readonly ip: string
  readonly defaultPage: number
  readonly maxPage: number
  readonly propagation: number
  readonly staleReads: number
  readonly onUpdate: ((token: SimulatedToken) => void) | undefined
}

/** What is there, and how it behaves. */
export interface World {
  readonly simulator: Knobs
  readonly clock: Clock
  readonly omission: 'keep' | 'clear'
  readonly ceiling: 'owner' | 'creator' | 'silent-drop'
  readonly user: string
  readonly accounts: Set<string>
  /** The account of each zone. */
  readonly zones: Map<string, string>
  readonly buckets: Set<string>
  readonly tokens: Map<string, SimulatedToken>
  /** Ids by value. */
  readonly values: Map<string, string>
  /** How often a fresh grant is still refused, by token and group. */
  readonly pending: Map<string, number>
  /** Tokens that are read as they were: how they were, and how often still. */
  readonly stale: Map<string, { readonly body: object; left: number }>
  readonly newId: () => string
  readonly newValue: (family: 'account' | 'user', prefixed: boolean) => string
  readonly nextDate: (after: string) => string
  readonly contains: (net: string, ip: string) => boolean
}
