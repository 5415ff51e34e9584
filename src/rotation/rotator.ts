import { TokenExistsError, TokenRevokedError, TokenStateError } from '../issuing/errors.ts'
import { eventOf, type IssuingEvents } from '../issuing/events.ts'
import type { IssuingSettings } from '../issuing/generator.ts'
import { requireRecord, type TokenRef } from '../issuing/lookup.ts'
import { birthOf, proofOf, sealContext } from '../issuing/new-token.ts'
import { furtherKeys, versionOf } from '../issuing/proof.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Stored } from '../kernel/kind.ts'
import { type Attribution, checkAttribution, retryStale } from '../stores/commit.ts'
import { UniqueConflictError } from '../stores/errors.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import { matchesFormat } from '../tokens/format.ts'
import { KnownFormats } from '../tokens/known-formats.ts'
import { type TokenRecord, type TokenVersion, tokenKind } from '../tokens/record.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { currentOf, liveVersions, MAX_LIVE_VERSIONS, retire, settle, supersede } from '../tokens/versions.ts'
import { DEFAULT_GRACE, viewOf } from '../tokens/view.ts'
import type { RotationEvents } from './events.ts'

/** What a {@link Rotator} is made from: of the settings, `formats` and `defaults.grace` count. */
export type RotatorOptions = FoundationSource<IssuingEvents & RotationEvents> &
  Pick<IssuingSettings, 'formats' | 'defaults'>

/** How to rotate. */
export interface RotateOptions extends Attribution {
  /**
   * How long the version before verifies on; it never lives past its own end. 0 is the emergency: every older version
   * fails from its next verification on. Default: the token's `grace`, else the host's, else 24 h.
   */
  readonly grace?: Duration | undefined
  /** The new text, where it isn't to be drawn. It must have the token's form. */
  readonly token?: string | undefined
  /**
   * What to do when an older version is in its grace still: `keep` it with the deadline that was announced (default),
   * `refuse` to rotate, or `endOldest`.
   */
  readonly whenInGrace?: 'keep' | 'refuse' | 'endOldest' | undefined
}

/** A finished rotation. */
export interface Rotated {
  /** The new token, the one time that it exists (unless it is retrievable). */
  readonly token: string
  readonly record: TokenView
  readonly rotation: { readonly id: string; readonly step: 'finish'; readonly status: 'done' }
}

/** The codes of the errors that rotations throw. */
export type RotationErrorCode =
  | 'ERR_TOO_MANY_LIVE_VERSIONS'
  | 'ERR_IN_GRACE'
  | 'ERR_NOT_RETRIEVABLE'
  | 'ERR_NO_RECIPIENT'

/** A rotation would leave more than three versions alive. */
export class TooManyLiveVersionsError extends TokenwrightError<'ERR_TOO_MANY_LIVE_VERSIONS'> {
  readonly id: string

  /**
   * @param service - the token's name
   * @param id - the token's id
   */
  constructor(service: string, id: string) {
    super(
      'ERR_TOO_MANY_LIVE_VERSIONS',
      `'${service}' has ${MAX_LIVE_VERSIONS} live versions, and a rotation would add one`,
      {
        help: "wait for the oldest to end, end it (whenInGrace: 'endOldest'), or rotate with grace 0",
      },
    )
    this.id = id
  }
}

/** A rotation was asked to refuse while an older version is in its grace, and one is. */
export class InGraceError extends TokenwrightError<'ERR_IN_GRACE'> {
  /** Until when, epoch ms. */
  readonly graceUntil: number

  /**
   * @param service - the token's name
   * @param graceUntil - until when the older version verifies
   */
  constructor(service: string, graceUntil: number) {
    super('ERR_IN_GRACE', `an older version of '${service}' verifies until ${new Date(graceUntil).toISOString()}`, {
      help: 'wait until then, or let it be kept',
      retryable: true,
    })
    this.graceUntil = graceUntil
  }
}

/** The token's text isn't kept, so it can't be read back. */
export class NotRetrievableError extends TokenwrightError<'ERR_NOT_RETRIEVABLE'> {
  /** @param service - the token's name */
  constructor(service: string) {
    super('ERR_NOT_RETRIEVABLE', `the token '${service}' is not retrievable: no copy of its text is kept`, {
      help: 'rotate it for a new text; make tokens with retrievable: true where they must be read back',
    })
  }
}

/**
 * Gives tokens new versions: identity, scopes, limits, counters and history stay, and the version before verifies on
 * through its grace.
 *
 * @example
 * ```ts
 * const { token } = await rotator.rotate('MY_API', { grace: '1h', actor: 'alice', reason: 'quarterly' })
 * await rotator.rotate('MY_API', { grace: 0, reason: 'leaked in a log' }) // every older version fails from now on
 * ```
 */
export class Rotator {
  readonly #base: Foundation<IssuingEvents & RotationEvents>
  readonly #formats: KnownFormats
  readonly #grace: number

  /**
   * @param options - store, keys and, if wanted, formats and defaults (of which `grace` counts)
   * @throws InvalidInputError for bad options
   */
  constructor(options: RotatorOptions) {
    this.#base = Foundation.of(options)
    this.#formats = options.formats instanceof KnownFormats ? options.formats : new KnownFormats(options.formats)
    this.#grace = parseDuration('defaults.grace', options.defaults?.grace ?? DEFAULT_GRACE, { allowZero: true })
  }

  /**
   * Makes a new version current; the one before verifies until `min(its own end, now + grace)`.
   *
   * @throws InvalidInputError; TokenNotFoundError; TokenRevokedError; TokenStateError for a disabled or expired token;
   * TooManyLiveVersionsError; InGraceError; FormatClashError; StaleRevisionError when others keep changing the token
   * @event token.rotated
   */
  async rotate(ref: TokenRef, options: RotateOptions = {}): Promise<Rotated> {
    checkFields('options', options, ['grace', 'token', 'whenInGrace', 'actor', 'reason'])
    const by = checkAttribution(options)
    const { whenInGrace = 'keep' } = options
    if (!['keep', 'refuse', 'endOldest'].includes(whenInGrace)) {
      throw new InvalidInputError('whenInGrace', 'is unknown', "use 'keep', 'refuse' or 'endOldest'")
    }
    const asked = options.grace === undefined ? undefined : parseDuration('grace', options.grace, { allowZero: true })
    await this.#base.ready()
    const { store, clock, keys, random } = this.#base
    const rotationId = `rot_${Buffer.from(random.bytes(12)).toString('base64url')}`
    return retryStale(async () => {
      const stored = await requireRecord(store, ref)
      const { value: token, id, revision } = stored
      const now = clock.now()
      const standing = this.#rotatable(token, now)
      const grace = asked ?? token.lifetime?.grace ?? this.#grace
      const older = grace === 0 ? standing : makeRoom(token, standing, whenInGrace, now)
      const text = this.#text(token, options.token)
      const n = (standing.at(-1)?.n ?? 0) + 1
      const versions = supersede<TokenVersion>(older, proofOf(text, token, n, keys, random), token.lifetime, now, grace)
      const { warnedDays: _, ...rest } = token
      const value: TokenRecord = { ...rest, versions, updatedAt: now }
      const before = versions.find((version) => version.n === currentOf(standing).n)
      const graceUntil = before?.state === 'previous' ? before.graceUntil : undefined
      const detail = { rotation: rotationId, version: n, ...(graceUntil !== undefined && { graceUntil }) }
      const change = { kind: tokenKind, id, revision, to: { value }, action: 'token.rotated', detail }
      const payload = {
        ...eventOf(token, by, now),
        version: n,
        ...(graceUntil !== undefined && { graceUntil }),
      }
      const told = [{ name: 'token.rotated' as const, about: id, payload }]
      const [changed] = await this.#base.write(by, [change], told, [birthOf(id, n, now)]).catch((error: unknown) => {
        if (error instanceof UniqueConflictError) throw new TokenExistsError(error.holder, error.removed)
        throw error
      })
      return {
        token: text,
        record: viewOf(changed as Stored<TokenRecord>, now),
        rotation: { id: rotationId, step: 'finish', status: 'done' },
      }
    })
  }

  /**
   * Reads back the text of a retrievable token's current version. The journal tells who did.
   *
   * @throws TokenNotFoundError; TokenRevokedError; NotRetrievableError; UnsealError
   * @event token.revealed
   */
  async reveal(ref: TokenRef, options: Attribution = {}): Promise<string> {
    checkFields('options', options, ['actor', 'reason'])
    const by = checkAttribution(options)
    await this.#base.ready()
    const { store, clock, keys } = this.#base
    return retryStale(async () => {
      const { value: token, id, revision } = await requireRecord(store, ref)
      if (token.revoked !== undefined) throw new TokenRevokedError(token.service, id)
      const current = currentOf(token.versions)
      if (current.sealed === undefined) throw new NotRetrievableError(token.service)
      const text = keys.unseal(current.sealed, sealContext(id, current.n))
      // Written as it is: the entry in the journal, and the revision that proves it, are the change.
      const change = {
        kind: tokenKind,
        id,
        revision,
        to: { value: { ...token } },
        action: 'token.revealed',
        detail: { version: current.n },
      }
      const payload = { ...eventOf(token, by, clock.now()), version: current.n }
      await this.#base.write(by, [change], [{ name: 'token.revealed', about: id, payload }])
      return text
    })
  }

  /** The versions as time has left them, of a token that may be rotated. */
  #rotatable(token: TokenRecord, now: number): readonly TokenVersion[] {
    const { id, service } = token
    if (token.revoked !== undefined) throw new TokenRevokedError(service, id)
    if (token.disabled !== undefined)
      throw new TokenStateError(id, `the token '${service}' (${id}) is disabled`, 'enable it first')
    if (liveVersions(token.versions, token.lifetime, now).length === 0) {
      throw new TokenStateError(id, `the token '${service}' (${id}) has expired`, 'generate a new one, or move its end')
    }
    return settle(token.versions, token.lifetime, now)
  }

  #text(token: TokenRecord, own: string | undefined): string {
    const { format } = token
    // The prefix may have been listed since the token was made.
    this.#formats.refuseClash(format)
    if (own === undefined) return this.#formats.draw(format, this.#base.random)
    if (typeof own !== 'string' || !matchesFormat(format, own)) {
      throw new InvalidInputError(
        'token',
        "doesn't have the form of this token (prefix, length, symbols, checksum)",
        'leave it out to have one drawn',
      )
    }
    this.#formats.refuseText(own)
    const { keys, clock } = this.#base
    // Under whichever key: a text that was a version once would answer for two of them.
    if (versionOf(token, [keys.digest(own), ...furtherKeys(keys, own, clock.now())]) !== undefined)
      throw new TokenExistsError(token.id, false)
    return own
  }
}

/** Sees to it that a rotation with grace leaves at most three versions alive. */
function makeRoom(
  token: TokenRecord,
  versions: readonly TokenVersion[],
  when: 'keep' | 'refuse' | 'endOldest',
  now: number,
): readonly TokenVersion[] {
  const pending = versions.find((version) => version.state === 'pending')
  if (pending !== undefined) {
    throw new TokenStateError(
      token.id,
      `a rotation of '${token.service}' is under way (version ${pending.n})`,
      'finish it, or rotate with grace 0',
    )
  }
  const live = liveVersions(versions, token.lifetime, now)
  const oldest = live.find((version) => version.state === 'previous')
  if (oldest !== undefined && when === 'refuse') throw new InGraceError(token.service, oldest.graceUntil ?? now)
  if (live.length < MAX_LIVE_VERSIONS) return versions
  if (oldest === undefined || when !== 'endOldest') throw new TooManyLiveVersionsError(token.service, token.id)
  return retire(versions, token.lifetime, oldest.n, now)
}
