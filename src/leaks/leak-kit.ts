import { type Clock, systemClock } from '../kernel/clock.ts'
import type { EventSink } from '../kernel/emitter.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { RecentMap } from '../stores/recent-map.ts'
import type { KnownFormats } from '../tokens/known-formats.ts'
import type { SecurityAlerts } from '../usage/security-alerts.ts'
import { NoFormatsError } from './errors.ts'
import type { LeakEvents } from './events.ts'
import { type FetchKeys, GITHUB_KEYS_URL, GithubKeys } from './github-keys.ts'
import { type GithubAnswer, type GithubRequest, GithubWebhook, type GithubWebhookOptions } from './github-webhook.ts'
import { redactionPattern, redactText } from './redaction.ts'
import { gitleaksRules, trufflehogRules } from './scanner-rules.ts'
import type { FoundToken, SignedLookup, TokenLookup, TokenRevoker } from './token-lookup.ts'
import { type ScanHit, TokenScanner } from './token-scanner.ts'

/** What a {@link LeakKit} is made from. */
export interface LeakKitOptions {
  /** The forms that it knows: with a prefix and a checksum. */
  readonly formats: KnownFormats
  /** Says whose a text is; the registry. */
  readonly lookup: TokenLookup
  /** Ends tokens; the registry. */
  readonly revoker: TokenRevoker
  /** Says whose a text of signed form is, and ends it; the signer. Without it no signed token is found. */
  readonly signed?: SignedLookup | undefined
  /** Where leaks are told; `usage.alerts`. */
  readonly alerts: SecurityAlerts
  readonly events: EventSink<LeakEvents>
  /** Default: the system's. */
  readonly clock?: Clock | undefined
}

/** A token that was found in some text. It doesn't hold the token. */
export interface ScanFinding {
  /** The prefix and the first characters, to recognise it by; of a signed token only how all of them begin. */
  readonly preview: string
  /** Where it begins, in bytes from the start (of UTF-8, where texts were given). */
  readonly offset: number
  /** The line that it begins in, from 1. */
  readonly line: number
  /** Whether it would prove a token now. */
  readonly live: boolean
  /** Whose it is; absent when it is none of ours, such as an example. Of a signed token, `signed` names it. */
  readonly token?: FoundToken['token']
  /** Which of the token's versions it is. */
  readonly version?: number
}

/** What can be looked through: a text, bytes, or a stream or list of either. */
export type ScanSource = string | Uint8Array | AsyncIterable<string | Uint8Array> | Iterable<string | Uint8Array>

/** What a handler for GitHub's findings is made from. */
export interface GithubHandlerOptions {
  /** What to do with a live token: end it (default), or only raise the alert; or a function that chooses. */
  readonly onLeak?: GithubWebhookOptions['onLeak'] | undefined
  /** How to get GitHub's public keys, such as the global `fetch`. */
  readonly fetch: FetchKeys
  /** Where the keys are. Default: GitHub's address of them. */
  readonly keysUrl?: string | undefined
}

/** Texts whose owner is remembered during one scan, at least. */
const REMEMBERED = 1000
/** Characters of a text that are turned into bytes at once. */
const PIECE = 65_536

/**
 * What helps against leaked tokens: blots them out of texts, finds them in streams, makes rules for secret scanners, and takes
 * the findings of GitHub's.
 *
 * @example
 * ```ts
 * logger.info(tokens.leaks.redact(line))
 * for await (const found of tokens.leaks.scan(createReadStream('app.log')))
 *   if (found.live) console.log(found.line, found.token?.service)
 * ```
 */
export class LeakKit {
  readonly #options: LeakKitOptions
  readonly #clock: Clock
  readonly #pattern: RegExp

  /** @param options - formats, lookup, revoker and alerts */
  constructor(options: LeakKitOptions) {
    checkFields('leaks', options, ['formats', 'lookup', 'revoker', 'signed', 'alerts', 'events', 'clock'])
    this.#options = options
    this.#clock = options.clock ?? systemClock()
    this.#pattern = redactionPattern(options.formats.listed)
  }

  /**
   * The expression that {@link LeakKit.redact} uses, for loggers that take one; a new object each time, global.
   *
   * @throws NoFormatsError
   */
  get pattern(): RegExp {
    this.#listed('tokens have no pattern')
    return new RegExp(this.#pattern)
  }

  /**
   * A text with `[redacted]` in the place of every token of a listed format, and of pieces of 16 characters and more, and of every
   * signed token of ours, whole or cut. The prefix stays. Linear in the text.
   *
   * @throws NoFormatsError; InvalidInputError when it is no text
   */
  redact(text: string): string {
    const formats = this.#listed("texts can't be redacted")
    if (typeof text !== 'string') throw new InvalidInputError('text', 'must be a text', 'make one of it first')
    return redactText(text, formats, this.#pattern)
  }

  /**
   * Finds the tokens of listed formats in a text or stream, by prefix and checksum, and signed tokens of this issuer, by their form; and
   * tells which are live. The store is asked by digest, once for each text that comes again and again; a signed token is proved as `verify`
   * does, which asks no store while keys and revocations are fresh. Takes linear time, and memory for 72 kB and one chunk.
   *
   * What is encoded (base64, UTF-16, compressed) isn't seen.
   *
   * @throws NoFormatsError; what the stream or the store throws
   */
  async *scan(source: ScanSource): AsyncGenerator<ScanFinding, void, undefined> {
    const scanner = new TokenScanner(this.#listed('nothing can be scanned for'))
    const known = new RecentMap<Verdict>(REMEMBERED)
    const { lookup, signed } = this.#options
    const judge = async function* (hits: Iterable<ScanHit>): AsyncGenerator<ScanFinding, void, undefined> {
      for (const hit of hits) {
        let verdict = known.get(hit.text)
        if (verdict === undefined) {
          verdict = hit.signed ? await judgeSigned(signed, hit.text) : judged(await lookup.identify(hit.text))
          known.set(hit.text, verdict)
        }
        const { preview, offset, line } = hit
        if (verdict.ours) yield { preview, offset, line, ...verdict.told }
      }
    }
    const chunks = typeof source === 'string' || source instanceof Uint8Array ? [source] : source
    for await (const chunk of chunks) for (const bytes of bytesOf(chunk)) yield* judge(scanner.add(bytes))
    yield* judge(scanner.end())
  }

  /**
   * A configuration for gitleaks (TOML) that adds a rule for each listed format to its own.
   *
   * @throws NoFormatsError
   */
  gitleaks(): string {
    return gitleaksRules(this.#listed('there are no rules'))
  }

  /**
   * A configuration for trufflehog (YAML) with a custom detector for each listed format.
   *
   * @throws NoFormatsError
   */
  trufflehog(): string {
    return trufflehogRules(this.#listed('there are no detectors'))
  }

  /**
   * A handler for the findings of GitHub's secret scanning partner program: give it headers and raw body, send what it answers.
   * Keys are fetched when they are needed, and kept for an hour.
   *
   * @returns a function that answers whatever a client can send: 401 without a good signature, 413 and 400 for a body that is
   * too long or no report, 503 when keys, store or the host's choice fail, after which GitHub tries again
   * @throws InvalidInputError naming the field
   * @event security.leaked, leaks.reportFailed
   */
  github(options: GithubHandlerOptions): (request: GithubRequest) => Promise<GithubAnswer> {
    checkFields('options', options, ['onLeak', 'fetch', 'keysUrl'])
    const { onLeak = 'revoke', fetch, keysUrl = GITHUB_KEYS_URL } = options
    if (onLeak !== 'revoke' && onLeak !== 'alarm' && typeof onLeak !== 'function')
      throw new InvalidInputError(
        'onLeak',
        'is unknown',
        "use 'revoke', 'alarm' or a function that answers one of them",
      )
    if (typeof fetch !== 'function')
      throw new InvalidInputError(
        'fetch',
        'must be a function',
        'pass the global fetch, or one that goes by your proxy',
      )
    if (typeof keysUrl !== 'string' || !keysUrl.startsWith('https://'))
      throw new InvalidInputError('keysUrl', 'must be an https address', "leave it out for GitHub's")
    const { formats, lookup, revoker, signed, alerts, events } = this.#options
    const clock = this.#clock
    const webhook = new GithubWebhook({
      ...{ clock, events, alerts, lookup, revoker, signed, onLeak },
      keys: new GithubKeys(clock, fetch, keysUrl),
      redact: (text) => redactText(text, formats.listed, this.#pattern),
    })
    return (request) => webhook.handle(request)
  }

  #listed(what: string): KnownFormats['listed'] {
    const { listed } = this.#options.formats
    if (listed.length === 0) throw new NoFormatsError(what)
    return listed
  }
}

/** What is told of a text, if anything. */
interface Verdict {
  readonly ours: boolean
  readonly told: Pick<ScanFinding, 'live' | 'token' | 'version'>
}

const NOT_LIVE = { live: false } as const

/** What has prefix and checksum is told in any case. */
function judged(found: FoundToken | undefined): Verdict {
  return { ours: true, told: found ?? NOT_LIVE }
}

/** A text of signed form is told when it is of this issuer. */
async function judgeSigned(signed: SignedLookup | undefined, text: string): Promise<Verdict> {
  const found = await signed?.identify(text)
  if (found?.token === undefined) return { ours: found !== undefined, told: NOT_LIVE }
  return { ours: true, told: { live: found.live, token: found.token, version: 1 } }
}

/** A chunk as bytes, a long text piece by piece, none of which ends within a character. */
function* bytesOf(chunk: string | Uint8Array): Generator<Uint8Array> {
  if (typeof chunk !== 'string') {
    if (!(chunk instanceof Uint8Array))
      throw new InvalidInputError('source', 'gave a chunk that is neither text nor bytes', 'read it as one of them')
    yield chunk
    return
  }
  for (let at = 0; at < chunk.length; ) {
    let end = Math.min(chunk.length, at + PIECE)
    const code = chunk.charCodeAt(end - 1)
    if (end < chunk.length && code >= 0xd800 && code < 0xdc00) end += 1
    yield Buffer.from(chunk.slice(at, end))
    at = end
  }
}
