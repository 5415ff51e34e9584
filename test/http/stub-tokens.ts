import type { CallOutcome, TokenService } from '../../src/http/index.ts'
import type { TokenView } from '../../src/tokens/token-view.ts'
import {
  DENIAL_MESSAGE,
  DENIAL_STATUS,
  type DenialCode,
  type Denied,
  type LimitState,
  type Verification,
  type Verified,
  type VerifyContext,
} from '../../src/tokens/verification.ts'

/** A denial as the verifier makes it. */
export function denied(code: DenialCode, details: Partial<Denied> = {}): Denied {
  return { ok: false, code, status: DENIAL_STATUS[code], message: DENIAL_MESSAGE[code], ...details }
}

/** A view of a token with one version, two when `previous` is wanted. */
export function tokenView(details: Partial<TokenView> = {}): TokenView {
  return {
    id: 'tok_1',
    service: 'billing',
    type: 'api_key',
    preview: 'sk_abcdef…',
    status: 'active',
    level: 'standard',
    scopes: ['orders:read'],
    retrievable: false,
    createdAt: Date.UTC(2026, 0, 1),
    updatedAt: Date.UTC(2026, 0, 1),
    grace: 86_400_000,
    versions: [{ number: 1, state: 'current', preview: 'sk_abcdef…', createdAt: Date.UTC(2026, 0, 1) }],
    revision: 1,
    ...details,
  }
}

/** A good verification. */
export function verified(details: Partial<Verified> = {}): Verified {
  return { ok: true, token: tokenView(), version: 'current', versionNumber: 1, limits: [], ...details }
}

/** A token's limit. */
export function limit(details: Partial<LimitState> = {}): LimitState {
  return { name: 'default', kind: 'rate', limit: 100, per: 60_000, remaining: 99, resetMs: 600, ...details }
}

/** The one string that {@link StubTokens} knows. */
export const GOOD = 'sk_good0123456789'

/**
 * A stand-in for the front door that the HTTP rules can be watched through: it knows one token with the scope `orders:read`, the level
 * `standard` and no IP rule, and remembers what it was asked.
 */
export class StubTokens implements TokenService {
  readonly asked: { presented: unknown; context: VerifyContext }[] = []
  readonly finished: { verification: Verification; outcome: CallOutcome }[] = []
  readonly clock: { at: number; monotonic: () => number } = { at: 1000, monotonic: () => this.clock.at }
  readonly usage: { finish(verification: Verification, outcome: CallOutcome): void } | undefined
  /** What is answered; may be replaced. */
  answer: (presented: unknown, context: VerifyContext) => Verification | Promise<Verification> = answerAsUsual
  #onFinish: (() => void) | undefined

  constructor(options: { usage?: boolean } = {}) {
    const record = (verification: Verification, outcome: CallOutcome) => {
      this.finished.push({ verification, outcome })
      this.#onFinish?.()
    }
    this.usage = options.usage === false ? undefined : { finish: record }
  }

  async verify(presented: unknown, context: VerifyContext = {}): Promise<Verification> {
    this.asked.push({ presented, context })
    return this.answer(presented, context)
  }

  /** Resolves once `count` calls have been finished. */
  async finishedCalls(count: number): Promise<readonly { verification: Verification; outcome: CallOutcome }[]> {
    while (this.finished.length < count) await new Promise<void>((resolve) => (this.#onFinish = resolve))
    return this.finished
  }
}

function answerAsUsual(presented: unknown, { scopes = [], level = 'read_only' }: VerifyContext): Verification {
  if (presented === undefined) return denied('missing')
  if (typeof presented !== 'string' || presented.includes(' ')) return denied('malformed')
  if (presented !== GOOD) return denied('unknown')
  if (level === 'admin') return denied('level_denied')
  const missingScopes = scopes.filter((scope) => scope !== 'orders:read')
  return missingScopes.length > 0 ? denied('insufficient_scope', { missingScopes }) : verified()
}
