import { shapeError } from './failure.ts'

/** What a server tells of a token, without the token. */
export interface TokenFacts {
  /** Its accessor; empty for batch tokens. */
  readonly accessor: string
  readonly type: 'service' | 'batch'
  readonly renewable: boolean
  /** It has no end, as root tokens have none. */
  readonly nonExpiring: boolean
  /** What is left, ms; 0 for one without an end. Servers count in whole seconds: the last one, which they tell as 0, is 999. */
  readonly ttlMs: number
  /** The whole lease as it was granted when new, ms. */
  readonly fullMs: number
  /** Each renewal grants this, whatever is asked for, ms. */
  readonly periodMs?: number | undefined
  /** The hard end of its life, counted from its making, ms. */
  readonly explicitMaxMs?: number | undefined
  /** How many more requests it is good for; absent when that isn't limited. */
  readonly usesLeft?: number | undefined
  readonly policies: readonly string[]
  readonly orphan: boolean
  /** Where it was made, such as `auth/approle/login`. */
  readonly path?: string | undefined
  readonly displayName?: string | undefined
  /** The token's namespace, where it isn't the root. */
  readonly namespace?: string | undefined
}

/** A token that a login made, with what is told of it. */
export interface GrantedToken {
  readonly token: string
  readonly facts: TokenFacts
}

/** What a renewal granted. */
export interface Renewed {
  /** From now, ms. 0 = less than a second: servers cut it off. */
  readonly ttlMs: number
  readonly renewable: boolean
  /** What the server warned of, such as a maximum that it applied. */
  readonly warnings: readonly string[]
}

type Fields = { readonly [name: string]: unknown }

const MAX_LIST = 100
const MAX_TEXT = 256
const MAX_TOKEN = 8192
/** What a look-up that tells 0 s means for a token that has an end: the server still took it. */
const LAST_SECOND_MS = 999
/** 100 years, in seconds. */
const MAX_SECONDS = 3_155_760_000

function fields(value: unknown): Fields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Fields) : undefined
}

function text(value: unknown): string {
  return typeof value === 'string' ? value.slice(0, MAX_TEXT) : ''
}

function texts(value: unknown): readonly string[] {
  return Array.isArray(value) ? value.slice(0, MAX_LIST).map(text) : []
}

function milliseconds(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isFinite(value) && value <= MAX_SECONDS
    ? Math.max(0, value * 1000)
    : undefined
}

/** A number of milliseconds above 0, else nothing. */
function positive(value: unknown): number | undefined {
  const ms = milliseconds(value)
  return ms === undefined || ms === 0 ? undefined : ms
}

/**
 * Reads the answer of a look-up.
 *
 * @throws VaultRequestError of kind `protocol` for an answer of another shape
 */
export function readLookup(body: unknown): TokenFacts {
  const data = fields(fields(body)?.['data'])
  const ttlMs = milliseconds(data?.['ttl'])
  if (data === undefined || ttlMs === undefined) throw shapeError('lookup', 'the answer tells no ttl of a token')
  const uses = data['num_uses']
  const periodMs = positive(data['period'])
  // Absent for the first root token of a server.
  const ends = ttlMs > 0 || positive(data['creation_ttl']) !== undefined || typeof data['expire_time'] === 'string'
  const leftMs = ends ? Math.max(ttlMs, LAST_SECOND_MS) : 0
  return {
    accessor: text(data['accessor']),
    type: data['type'] === 'batch' ? 'batch' : 'service',
    // Absent for the first root token of a server.
    renewable: data['renewable'] === true,
    nonExpiring: !ends,
    ttlMs: leftMs,
    fullMs: Math.max(periodMs ?? positive(data['creation_ttl']) ?? 0, leftMs),
    periodMs,
    explicitMaxMs: positive(data['explicit_max_ttl']),
    // It has been counted down already; below 0, this look-up was the last use.
    usesLeft: typeof uses === 'number' && uses !== 0 ? Math.max(0, uses) : undefined,
    policies: texts(data['policies']),
    orphan: data['orphan'] === true,
    path: text(data['path']) || undefined,
    displayName: text(data['display_name']) || undefined,
    namespace: text(data['namespace_path']) || undefined,
  }
}

/**
 * Reads the answer of a login, or of any other call that makes a token.
 *
 * @throws VaultRequestError of kind `protocol` for an answer of another shape
 */
export function readLogin(body: unknown): GrantedToken {
  const auth = fields(fields(body)?.['auth'])
  const token = auth?.['client_token']
  const seconds = auth?.['lease_duration']
  const ttlMs = milliseconds(seconds)
  // None at all means no end; less than that means nothing.
  const granted = ttlMs !== undefined && Number(seconds) >= 0
  if (auth === undefined || typeof token !== 'string' || !isToken(token) || !granted) {
    throw shapeError('login', 'the answer holds no token with a lease')
  }
  const uses = auth['num_uses']
  return {
    token,
    facts: {
      accessor: text(auth['accessor']),
      type: auth['token_type'] === 'batch' ? 'batch' : 'service',
      renewable: auth['renewable'] === true,
      nonExpiring: ttlMs === 0,
      ttlMs,
      fullMs: ttlMs,
      usesLeft: typeof uses === 'number' && uses > 0 ? uses : undefined,
      policies: texts(auth['policies']),
      orphan: auth['orphan'] === true,
    },
  }
}

/** The wrapping token of an answer that is wrapped. */
export function wrappingTokenOf(body: unknown): string | undefined {
  const token = fields(fields(body)?.['wrap_info'])?.['token']
  return typeof token === 'string' && isToken(token) ? token : undefined
}

/**
 * Reads the answer of a token's renewal.
 *
 * @throws VaultRequestError of kind `protocol` for an answer of another shape
 */
export function readRenewal(body: unknown): Renewed {
  const auth = fields(fields(body)?.['auth'])
  const ttlMs = milliseconds(auth?.['lease_duration'])
  if (auth === undefined || ttlMs === undefined) throw shapeError('renew', 'the answer grants no time')
  return { ttlMs, renewable: auth['renewable'] !== false, warnings: texts(fields(body)?.['warnings']) }
}

/**
 * Reads the answer of a secret lease's renewal.
 *
 * @throws VaultRequestError of kind `protocol` for an answer of another shape
 */
export function readLeaseRenewal(body: unknown): Renewed {
  const answer = fields(body)
  const ttlMs = milliseconds(answer?.['lease_duration'])
  if (answer === undefined || ttlMs === undefined) throw shapeError('renew_lease', 'the answer grants no time')
  return { ttlMs, renewable: answer['renewable'] !== false, warnings: texts(answer['warnings']) }
}

/** Whether a text can be sent as a token: printable ASCII without spaces, at most 8192 characters. */
export function isToken(value: string): boolean {
  return value.length > 0 && value.length <= MAX_TOKEN && /^[\x21-\x7e]+$/.test(value)
}
