import { Buffer } from 'node:buffer'
import { createReadStream } from 'node:fs'
import type { Clock } from '../kernel/clock.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { Secret } from '../kernel/secret.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import { type VaultOperation, VaultRequestError } from './errors.ts'
import { requestError, saysPolicyDenial } from './failure.ts'
import { type GrantedToken, isToken, readLogin, type TokenFacts, wrappingTokenOf } from './token-facts.ts'
import type { Timed, VaultCalls } from './vault-calls.ts'

/** What a login is called with. */
export interface VaultLoginContext {
  /** POSTs to a path under `/v1/` that needs no token, and answers the body. Its errors are cleaned of what was sent. */
  post(path: string, data: { readonly [name: string]: unknown }): Promise<unknown>
  /** What is inside a wrapping token, once its `creation_path` is what it should be. */
  unwrap(wrappingToken: string, creationPath?: string): Promise<unknown>
  /** Aborted when it has taken too long, or the manager stops. */
  readonly signal: AbortSignal
}

/**
 * Gets a new token: answers the body of a login (`{ auth: { client_token, lease_duration, … } }`), or the text of a token that somebody else made, which is
 * then looked up, and never revoked.
 */
export interface VaultLogin {
  /** What events call it, such as `approle`. */
  readonly method: string
  /** Logs in. What it throws is a failed login, tried again with backoff. */
  login(context: VaultLoginContext): Promise<unknown> | unknown
}

/** A text that logins need: itself, a {@link Secret}, a file that is read anew at each login, or a function. */
export type VaultCredential = string | Secret | { readonly file: string } | (() => string | Promise<string>)

const MAX_FILE = 64 * 1024

/**
 * Checks a credential.
 *
 * @throws InvalidInputError for an empty text, or what is no credential
 */
export function checkCredential(field: string, credential: unknown): VaultCredential {
  const text = credential instanceof Secret ? credential.reveal() : credential
  if (typeof text === 'function' || (typeof text === 'string' && text !== '')) return credential as VaultCredential
  if (typeof text === 'object' && text !== null) {
    const { file } = checkFields(field, text, ['file'])
    if (typeof file === 'string' && file !== '') return text as VaultCredential
  }
  throw new InvalidInputError(
    field,
    'is empty, or no credential',
    "give a text, { file: '/path' }, or a function that answers a text",
  )
}

/**
 * The text of a credential now, without white space around it.
 *
 * @throws VaultRequestError of kind `credentials` when there is none; it names the file's trouble, not its content
 */
export async function readCredential(name: string, credential: VaultCredential): Promise<string> {
  const text = (await credentialText(name, credential)).trim()
  if (text === '') throw credentialError(`${name} is empty`)
  return text
}

async function credentialText(name: string, credential: VaultCredential): Promise<string> {
  if (typeof credential === 'string') return credential
  if (credential instanceof Secret) return credential.reveal()
  if (typeof credential === 'function') {
    const text: unknown = await credential()
    if (typeof text !== 'string') throw credentialError(`the function for ${name} answered no text`)
    return text
  }
  try {
    const chunks: Buffer[] = []
    for await (const chunk of createReadStream(credential.file, { end: MAX_FILE })) chunks.push(chunk)
    const content = Buffer.concat(chunks)
    if (content.length <= MAX_FILE) return content.toString('utf8')
  } catch (error) {
    const code = (error as { readonly code?: unknown }).code
    throw credentialError(`the file for ${name} can't be read (${typeof code === 'string' ? code : 'unknown'})`)
  }
  throw credentialError(`the file for ${name} is longer than 64 kB`)
}

/** A login that can't be tried, or was answered with what is of no use. */
export function credentialError(what: string, operation: VaultOperation = 'login'): VaultRequestError {
  return new VaultRequestError({ operation, kind: 'credentials', messages: [what] })
}

/**
 * Checks the option `login`.
 *
 * @throws InvalidInputError for what is no login
 */
export function checkLogin(login: unknown): VaultLogin | undefined {
  if (login === undefined) return undefined
  if (typeof login === 'function') return { method: 'custom', login: login as VaultLogin['login'] }
  const given = login as Partial<VaultLogin> | null
  if (typeof given?.login === 'function' && typeof given.method === 'string') return given as VaultLogin
  throw new InvalidInputError('login', 'is no login', 'give appRoleLogin({ … }), another login, or a function')
}

/** How long a login may take. */
export interface LoginLimits {
  readonly clock: Clock
  /** All its requests together, ms. */
  readonly limitMs: number
  /** Ends it earlier. */
  readonly signal: AbortSignal
}

/** What a login came to. */
export interface LoggedIn extends GrantedToken {
  /** Whether the login made the token, which is ours to revoke then. One that it only named is somebody else's. */
  readonly made: boolean
}

/**
 * Logs in once.
 *
 * @returns the new token, what is told of it, and the times before the request
 */
export function logIn(login: VaultLogin, calls: VaultCalls, limits: LoginLimits): Promise<Timed<LoggedIn>> {
  const { clock, limitMs, signal } = limits
  return withTimeLimit(clock, limitMs, (inner) => logInWithin(login, calls, inner), signal)
}

async function logInWithin(login: VaultLogin, calls: VaultCalls, signal: AbortSignal): Promise<Timed<LoggedIn>> {
  const from = calls.moment()
  let unwrapped: unknown
  const unwrap = async (token: string): Promise<unknown> => {
    unwrapped = await calls.unwrap(token, signal)
    return unwrapped
  }
  const context: VaultLoginContext = {
    post: (path, data) => calls.login(path, data, signal),
    unwrap: async (token, creationPath) => {
      if (!isToken(token)) throw credentialError('the wrapping token is none', 'unwrap')
      // Whoever unwrapped it on the way could have wrapped something else; where that was made, the server knows.
      if (creationPath !== undefined && (await calls.wrappedBy(token, signal)) !== creationPath) {
        throw credentialError(`the wrapping token wasn't made by ${creationPath}`, 'unwrap')
      }
      return await unwrap(token)
    },
    signal,
  }
  let answer = await login.login(context)
  const wrapped = wrappingTokenOf(answer)
  if (wrapped !== undefined) answer = await unwrap(wrapped)
  if (answer instanceof Secret) answer = answer.reveal()
  if (typeof answer !== 'string') {
    const granted = { value: { ...readLogin(answer), made: true }, from }
    return answer === unwrapped ? await aged(granted, calls, signal) : granted
  }
  if (!isToken(answer)) throw credentialError('the login answered a text that is no token')
  const { value: facts, from: asked } = await looked(answer, calls, signal)
  return { value: { token: answer, facts, made: false }, from: asked }
}

/** A token has aged in its wrapping: what it was granted then says too much. Where it may not look at itself, or would be used up by that, nothing else is known. */
async function aged(granted: Timed<LoggedIn>, calls: VaultCalls, signal: AbortSignal): Promise<Timed<LoggedIn>> {
  if (granted.value.facts.usesLeft === 1) return granted
  try {
    const { value: facts, from } = await looked(granted.value.token, calls, signal)
    return { value: { ...granted.value, facts }, from }
  } catch (error) {
    if (error instanceof VaultRequestError && saysPolicyDenial(error)) return granted
    throw error
  }
}

/** What the server tells of a token that a login came to. That it doesn't know it is the login's failure. */
async function looked(token: string, calls: VaultCalls, signal: AbortSignal): Promise<Timed<TokenFacts>> {
  try {
    return await calls.lookup(token, signal)
  } catch (error) {
    signal.throwIfAborted()
    const { kind, status, networkCode, retryAfterMs, messages } = requestError(error, 'login')
    const judged = kind === 'auth' ? 'credentials' : kind
    throw new VaultRequestError({ operation: 'login', kind: judged, status, networkCode, retryAfterMs, messages })
  }
}
