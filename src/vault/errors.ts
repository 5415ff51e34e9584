import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors that this room throws. */
export type VaultErrorCode = 'ERR_VAULT_REQUEST' | 'ERR_VAULT_STATE' | 'ERR_VAULT_SHORTENING'

/** What a manager asks a server for. */
export type VaultOperation =
  | 'lookup'
  | 'renew'
  | 'renew_lease'
  | 'login'
  | 'unwrap'
  | 'revoke'
  | 'health'
  | 'read'
  | 'write'
  | 'request'

/**
 * What kind of failure it is. `network` and `timeout`: no answer came. `sealed`, `unavailable` (5xx), `rate_limited` (429) and `behind` (412, a
 * standby that hasn't heard of the token yet): it passes. `auth`: 403. `not_renewable`: this token or lease never will be. `dead`: the
 * server doesn't know it any more. `refused`: it can't be renewed again (maximum reached, its role is gone).
 * `credentials`: the login was refused. `protocol`: an answer of another shape. `config`: a wrong path, method, namespace or host.
 */
export type VaultFailureKind =
  | 'network'
  | 'timeout'
  | 'sealed'
  | 'unavailable'
  | 'rate_limited'
  | 'behind'
  | 'auth'
  | 'not_renewable'
  | 'dead'
  | 'refused'
  | 'credentials'
  | 'protocol'
  | 'config'

/** What is known of a failed request; nothing of it is secret. */
export interface VaultFailure {
  /** What was asked for. */
  readonly operation: VaultOperation
  readonly kind: VaultFailureKind
  /** The answer's status; absent when none came. */
  readonly status?: number | undefined
  /** The network's code, such as `ECONNREFUSED`. */
  readonly networkCode?: string | undefined
  /** How long the server asked to wait, ms. */
  readonly retryAfterMs?: number | undefined
  /** What the server said, shortened, with everything secret taken out. */
  readonly messages?: readonly string[] | undefined
}

/** An answer with an error, as far as node-vault's own errors tell it too. */
export interface VaultErrorResponse {
  readonly statusCode: number
  readonly body: unknown
  readonly headers: { readonly [name: string]: string }
}

const HELP: { readonly [kind in VaultFailureKind]: string } = {
  network: 'look at the address of the server and the way to it',
  timeout: 'look at the load of the server, or give a longer timeout',
  sealed: 'unseal the server',
  unavailable: "look at the server's log",
  rate_limited: "wait, or raise the server's quota",
  behind: 'wait a second',
  auth: 'give a token that the server knows, and a policy that allows this',
  not_renewable: 'give the manager a login, so that it can get a new token before the end',
  dead: 'give the manager a login, so that it can get a new token',
  refused: 'give the manager a login, so that it can get a new token; look at the role that made this one',
  credentials: 'look at the credentials of the login, its role and its mount',
  protocol: 'look at what answers at this address: it may be a proxy or a login page',
  config: 'look at the endpoint, the mount, the path and the namespace',
}

const PASSING: ReadonlySet<VaultFailureKind> = new Set([
  'network',
  'timeout',
  'sealed',
  'unavailable',
  'rate_limited',
  'behind',
])

/** A request to a Vault or OpenBao server failed. It holds no token, secret_id, password or header. */
export class VaultRequestError extends TokenwrightError<'ERR_VAULT_REQUEST'> implements VaultFailure {
  readonly operation: VaultOperation
  readonly kind: VaultFailureKind
  /** The answer's status; absent when none came. */
  readonly status: number | undefined
  /** The network's code, such as `ECONNREFUSED`. */
  readonly networkCode: string | undefined
  /** How long the server asked to wait, ms. */
  readonly retryAfterMs: number | undefined
  /** What the server said, shortened, with everything secret taken out. */
  readonly messages: readonly string[]
  /** Of a client made by `createVaultClient`: the answer, as errors of node-vault have it. It isn't enumerable. */
  declare readonly response?: VaultErrorResponse

  /**
   * @param failure - what is known of it
   * @param response - the answer, for callers that look into it themselves
   */
  constructor(failure: VaultFailure, response?: VaultErrorResponse) {
    const { operation, kind, status, networkCode, messages = [] } = failure
    const how = [kind, status, networkCode].filter((part) => part !== undefined).join(', ')
    const said = messages.length > 0 ? `: ${messages.join('; ')}` : ''
    super('ERR_VAULT_REQUEST', `the request '${operation}' to Vault failed (${how})${said}`, {
      help: HELP[kind],
      retryable: PASSING.has(kind),
    })
    this.operation = operation
    this.kind = kind
    this.status = status
    this.networkCode = networkCode
    this.retryAfterMs = failure.retryAfterMs
    this.messages = Object.freeze([...messages])
    if (response !== undefined) Object.defineProperty(this, 'response', { value: response, enumerable: false })
  }
}

/** A manager was asked for what it can't do now: it isn't started, or was stopped meanwhile. */
export class VaultStateError extends TokenwrightError<'ERR_VAULT_STATE'> {
  /**
   * @param what - what is the matter
   * @param help - what to do
   */
  constructor(what: string, help = 'call start() first, and not after stop()') {
    super('ERR_VAULT_STATE', what, { help })
  }
}

/** What needs a token was asked for before there was one. */
export function noTokenYet(): VaultStateError {
  return new VaultStateError('there is no token yet', "wait for 'started'")
}

/** A renewal would have left the token with less time than it has. Nothing was sent. */
export class VaultShorteningError extends TokenwrightError<'ERR_VAULT_SHORTENING'> {
  /** What is left of the token, ms. */
  readonly leftMs: number
  /** What the renewal would have asked for, ms. */
  readonly incrementMs: number

  /**
   * @param leftMs - what is left of the token
   * @param incrementMs - what the renewal would have asked for
   */
  constructor(leftMs: number, incrementMs: number) {
    super(
      'ERR_VAULT_SHORTENING',
      `an increment of ${Math.round(incrementMs / 1000)} s would shorten a token that has ${Math.round(leftMs / 1000)} s left: increments count from now`,
      { help: 'ask for more, or say allowShorten: true' },
    )
    this.leftMs = leftMs
    this.incrementMs = incrementMs
  }
}
