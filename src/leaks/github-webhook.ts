import { hash, verify } from 'node:crypto'
import type { Clock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { codeOf, InvalidInputError } from '../kernel/errors.ts'
import { hasSignedForm } from '../tokens/format.ts'
import { type SecurityAlerts, signedSubject } from '../usage/security-alerts.ts'
import type { LeakEvents } from './events.ts'
import type { GithubKeys } from './github-keys.ts'
import { type GithubFinding, parseFindings } from './github-report.ts'
import type { FoundToken, SignedLookup, TokenLookup, TokenRevoker } from './token-lookup.ts'

/** Headers as the web's `Headers` has them. */
export interface HeaderReader {
  /** The value of a header, whatever the case of its name. */
  get(name: string): string | null
}

/** A request as the host got it. */
export interface GithubRequest {
  /** Node's headers or the web's. */
  readonly headers: { readonly [name: string]: string | readonly string[] | undefined } | HeaderReader
  /** The body as it came, before any parser: the signature is over these bytes. */
  readonly body: Uint8Array | string
}

/** What to answer. */
export interface GithubAnswer {
  readonly status: 200 | 400 | 401 | 413 | 503
  /** JSON; with 200, what GitHub learns of each finding. It holds SHA-256 hashes (hex), no token. */
  readonly body: string
}

/** A finding that is a token of ours, as a choice is made on it. */
export interface LeakFinding extends FoundToken {
  /** The name of the form, as it was agreed with GitHub. */
  readonly type: string
  /** Where, with the token blotted out. */
  readonly url?: string
  readonly source?: string
}

/** What to do with a live token that was found: end it, or only tell of it. */
export type LeakResponse = 'revoke' | 'alarm'

/** What a {@link GithubWebhook} is made from. */
export interface GithubWebhookOptions {
  readonly clock: Clock
  readonly events: EventSink<LeakEvents>
  readonly alerts: SecurityAlerts
  readonly lookup: TokenLookup
  readonly revoker: TokenRevoker
  readonly signed?: SignedLookup | undefined
  readonly keys: GithubKeys
  readonly onLeak: LeakResponse | ((finding: LeakFinding) => LeakResponse | Promise<LeakResponse>)
  /** Blots out tokens. */
  readonly redact: (text: string) => string
}

const KEY_HEADER = 'github-public-key-identifier'
const SIGNATURE_HEADER = 'github-public-key-signature'
/** GitHub's messages are a few kB. */
const MAX_BODY = 1_048_576
const BY = { actor: 'github', reason: 'found by secret scanning' }

/**
 * Takes the findings of GitHub's secret scanning partner program: proves that they come from GitHub (ECDSA P-256 with
 * SHA-256 over the raw body), looks each up by its digest, and ends what is live, or only tells.
 */
export class GithubWebhook {
  readonly #options: GithubWebhookOptions

  /** @param options - lookup, revoker, alerts, keys and what to do */
  constructor(options: GithubWebhookOptions) {
    this.#options = options
  }

  /**
   * Deals with one request. What a client can send gives an answer, never an exception: 401 without a good signature, 413 and
   * 400 for a body that is too long or no report, 503 when keys, store or the host's choice fail, after which GitHub tries again.
   *
   * @throws InvalidInputError when the body was parsed already
   * @event security.leaked, leaks.reportFailed
   */
  async handle(request: GithubRequest): Promise<GithubAnswer> {
    const { body } = request
    if (typeof body !== 'string' && !(body instanceof Uint8Array)) {
      throw new InvalidInputError(
        'body',
        'must be the bytes as they came',
        'take the raw body on this route, such as express.raw()',
      )
    }
    if (body.length > MAX_BODY) return answer(413, 'the body is too long')
    const bytes = typeof body === 'string' ? Buffer.from(body) : body
    const signature = header(request, SIGNATURE_HEADER)
    const keyId = header(request, KEY_HEADER)
    // An identifier is a SHA-256 in hex, a signature two numbers of 32 bytes in DER.
    if (signature === undefined || keyId === undefined || keyId.length > 128 || signature.length > 128)
      return answer(401, 'the signature is missing')
    let signed: boolean
    try {
      const key = await this.#options.keys.get(keyId)
      signed = key !== undefined && verify('sha256', bytes, key, Buffer.from(signature, 'base64'))
    } catch (error) {
      return this.#failed('keys', error)
    }
    if (!signed) return answer(401, 'the signature is wrong')
    const findings = parseFindings(Buffer.from(bytes).toString('utf8'))
    if (findings === undefined) return answer(400, 'the body is no list of findings')
    try {
      const labels: object[] = []
      for (const finding of findings) labels.push(labelOf(finding, await this.#deal(finding)))
      return { status: 200, body: JSON.stringify(labels) }
    } catch (error) {
      return this.#failed('tokens', error)
    }
  }

  /** @returns whether it is a token of ours */
  async #deal({ token: text, type, url, source }: GithubFinding): Promise<boolean> {
    const { alerts, clock, onLeak } = this.#options
    const found = await this.#identify(text)
    if (found === undefined) return false
    const blotted = url === undefined ? undefined : this.#options.redact(url.replaceAll(text, '[redacted]'))
    const place = { ...(blotted !== undefined && { url: blotted }), ...(source !== undefined && { source }) }
    const { token, version, live } = found
    let revoked = false
    if (live) {
      const response = typeof onLeak === 'function' ? await onLeak({ ...found, type, ...place }) : onLeak
      if (response !== 'revoke' && response !== 'alarm')
        throw new InvalidInputError('onLeak', 'answered something else', "answer 'revoke' or 'alarm'")
      if (response === 'revoke') {
        await this.#revoke(found)
        revoked = true
      }
    }
    const { id, service, signed } = token
    const subject = signedSubject(signed?.agent, signed?.id)
    const at = clock.now()
    alerts.raise(
      'leaked',
      `${signed?.id ?? id} ${version} ${blotted}`,
      () => ({ at, id, service, ...subject, version, by: 'github', ...place, live, revoked }),
      at,
    )
    return true
  }

  async #identify(text: string): Promise<FoundToken | undefined> {
    const { lookup, signed } = this.#options
    if (!hasSignedForm(text)) return lookup.identify(text)
    const found = await signed?.identify(text)
    return found?.token && { token: found.token, version: 1, live: found.live }
  }

  /** Ends the version that leaked where the token can live on without it, else the token; of signed ones, that one. */
  async #revoke({ token, version }: FoundToken): Promise<void> {
    const { id, versions, signed } = token
    if (signed !== undefined) {
      await this.#options.signed?.revoke({ id: signed.id }, BY)
      return
    }
    const state = versions.find(({ number }) => number === version)?.state
    const alone = state === 'previous' || state === 'pending'
    await this.#options.revoker.revoke({ id }, alone ? { ...BY, version } : BY)
  }

  #failed(step: 'keys' | 'tokens', error: unknown): GithubAnswer {
    const { events, clock } = this.#options
    events.emit('leaks.reportFailed', { step, code: codeOf(error), at: clock.now() })
    return answer(503, 'try again later')
  }
}

/** What GitHub learns of a finding. */
function labelOf({ token, type }: GithubFinding, ours: boolean): object {
  return {
    token_hash: hash('sha256', token, 'hex'),
    token_type: type,
    label: ours ? 'true_positive' : 'false_positive',
  }
}

function answer(status: 400 | 401 | 413 | 503, error: string): GithubAnswer {
  return { status, body: JSON.stringify({ error }) }
}

function header({ headers }: GithubRequest, name: string): string | undefined {
  if (typeof headers.get === 'function') return (headers as HeaderReader).get(name) ?? undefined
  for (const [key, value] of Object.entries(headers))
    if (key.toLowerCase() === name && typeof value === 'string') return value
  return undefined
}
