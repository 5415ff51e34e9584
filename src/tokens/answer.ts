import type { Stored } from '../kernel/kind.ts'
import type { TokenRecord, TokenVersion } from './record.ts'
import type { TokenView } from './token-view.ts'
import {
  type CheckStep,
  DENIAL_MESSAGE,
  DENIAL_STATUS,
  type DenialCode,
  type Denied,
  type LimitState,
  type Verification,
  type Verified,
  type VerifyContext,
} from './verification.ts'
import { viewOf } from './view.ts'

/** A token whose secret was proved, as far as an answer needs it. */
export interface Proven {
  /** The agent of a signed token. */
  readonly agent?: string | undefined
  /** The id of a signed token; `stored` goes by its agent. */
  readonly jti?: string | undefined
  readonly stored: Stored<TokenRecord>
  readonly version: TokenVersion
  /** What is left of its limits. */
  limitStates(now: number): LimitState[]
  /** What may be told of it, where its record doesn't tell all. */
  view?(now: number): TokenView
}

/** What is remembered of a call, for counters and logs. */
export interface CallFacts {
  readonly at: number
  /** The token's id; empty when no token was proved. */
  readonly token: string
  readonly version: number
  readonly service: string
  /** Empty = none. */
  readonly tool: string
  /** `ok`, or the code of the refusal. */
  readonly outcome: string
  readonly risk?: string | undefined
  readonly agent?: string | undefined
  readonly ip?: string | undefined
  readonly caller?: string | undefined
  readonly finishLater: boolean
}

/** What is left out of a refusal where it has nothing to say. */
export type DenialDetails = Pick<Denied, 'retryAfterMs' | 'missingScopes' | 'approvalRequest' | 'limits'>

let factsOfVerified: (answer: VerifiedAnswer) => CallFacts
let factsOfDenied: (answer: DeniedAnswer) => CallFacts

/** A good answer. It copies the token and the limits only when they are read: most callers read neither. */
export class VerifiedAnswer implements Verified {
  readonly ok = true as const
  readonly version: 'current' | 'previous' | 'pending'
  readonly versionNumber: number
  declare readonly explain?: readonly CheckStep[]
  readonly #proven: Proven
  readonly #stored: Stored<TokenRecord>
  readonly #context: VerifyContext
  readonly #at: number
  #risk: string | undefined
  #token: TokenView | undefined
  #limits: readonly LimitState[] | undefined

  /**
   * @param proven - the token and the version that was presented
   * @param context - what was asked
   * @param at - when, epoch ms
   * @param risk - the risk of the tool, where a catalogue gives one
   */
  constructor(proven: Proven, context: VerifyContext, at: number, risk: string | undefined) {
    this.version = proven.version.state as 'current' | 'previous' | 'pending'
    this.versionNumber = proven.version.n
    this.#proven = proven
    this.#stored = proven.stored
    this.#context = context
    this.#at = at
    this.#risk = risk
    this.#token = undefined
    this.#limits = undefined
  }

  get token(): TokenView {
    this.#token ??= this.#proven.view?.(this.#at) ?? viewOf(this.#stored, this.#at)
    return this.#token
  }

  get limits(): readonly LimitState[] {
    this.#limits ??= Object.freeze(this.#proven.limitStates(this.#at))
    return this.#limits
  }

  /** The answer as a plain object, for `console.log`: getters don't show by themselves. */
  [Symbol.for('nodejs.util.inspect.custom')](): Verified {
    return this.toJSON()
  }

  /** The answer as a plain object. */
  toJSON(): Verified {
    const { ok, version, versionNumber, token, limits, explain } = this
    return { ok, version, versionNumber, token, limits, ...(explain && { explain }) }
  }

  static {
    factsOfVerified = (answer) => factsOf(answer.#context, answer.#at, 'ok', answer.#proven, answer.#risk)
  }
}

/** A refusal. */
export class DeniedAnswer implements Denied {
  readonly ok = false as const
  readonly code: DenialCode
  readonly status: 401 | 403 | 429 | 503
  readonly message: string
  declare readonly retryAfterMs?: number
  declare readonly missingScopes?: readonly string[]
  declare readonly approvalRequest?: { readonly [name: string]: unknown }
  declare readonly limits?: readonly LimitState[]
  declare readonly explain?: readonly CheckStep[]
  readonly #proven: Pick<Proven, 'stored' | 'version' | 'agent'> | undefined
  readonly #context: VerifyContext
  readonly #at: number
  readonly #risk: string | undefined

  /**
   * @param code - why
   * @param proven - the token, if its secret was proved
   * @param context - what was asked
   * @param at - when, epoch ms
   * @param risk - the risk of the tool, where a catalogue gives one
   * @param details - what else the client may know
   */
  constructor(
    code: DenialCode,
    proven: Pick<Proven, 'stored' | 'version' | 'agent'> | undefined,
    context: VerifyContext,
    at: number,
    risk?: string,
    details?: DenialDetails,
  ) {
    this.code = code
    this.status = DENIAL_STATUS[code]
    this.message = DENIAL_MESSAGE[code]
    this.#proven = proven
    this.#context = context
    this.#at = at
    this.#risk = risk
    if (details !== undefined) Object.assign(this, details)
  }

  static {
    factsOfDenied = (answer) => factsOf(answer.#context, answer.#at, answer.code, answer.#proven, answer.#risk)
  }
}

/** What is remembered of the call behind an answer of ours; `undefined` for any other object. */
export function callFacts(answer: Verification): CallFacts | undefined {
  if (answer instanceof VerifiedAnswer) return factsOfVerified(answer)
  if (answer instanceof DeniedAnswer) return factsOfDenied(answer)
  return undefined
}

function factsOf(
  context: VerifyContext,
  at: number,
  outcome: string,
  proven: Pick<Proven, 'stored' | 'version' | 'agent'> | undefined,
  risk: string | undefined,
): CallFacts {
  return {
    at,
    token: proven?.stored.id ?? '',
    version: proven?.version.n ?? 0,
    service: proven?.stored.value.service ?? '',
    tool: context.tool ?? '',
    outcome,
    risk,
    agent: proven?.agent,
    ip: context.ip,
    caller: context.caller,
    finishLater: context.finishLater === true,
  }
}
