import type { Proven } from '../tokens/answer.ts'
import type { UsageCounter } from '../usage/usage-counter.ts'
import type { CompiledPolicy } from './checks.ts'
import type { TokenLimits } from './limits.ts'

/** A token whose secret was proved, opaque or signed, with what is decided on afterwards. */
export interface Provable extends Proven {
  readonly policy: CompiledPolicy
  /** When what was presented stops verifying, epoch ms. */
  readonly endsAt: number
  /** Whether its end was observed. */
  readonly ended: boolean
  readonly memo: TokenLimits
  /** The counter of its calls, kept by whoever counts. */
  counter: UsageCounter | undefined
  /** Remembers that it has ended. */
  end(): void
}

/** Why a string proves nothing. */
export type Unproved = 'malformed' | 'unknown' | 'unavailable'
