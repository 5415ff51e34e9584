import { POLICY_FIELDS, type PolicyInput, parsePolicy } from '../access/policy-input.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Stored } from '../kernel/kind.ts'
import { Turns } from '../kernel/turn.ts'
import { type Attribution, checkAttribution, retryStale } from '../stores/commit.ts'
import { Foundation } from '../stores/foundation.ts'
import type { Page } from '../stores/token-store.ts'
import { ABOUT_FIELDS, type AboutInput, parseAbout } from '../tokens/about.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import type { TokenView } from '../tokens/token-view.ts'
import { endOf, retire } from '../tokens/versions.ts'
import { viewOf } from '../tokens/view.ts'
import { Cleanup, type CleanupOptions, type CleanupReport } from './cleanup.ts'
import { TokenNotFoundError, TokenRevokedError, TokenStateError } from './errors.ts'
import { eventOf, type IssuingEvents, type TokenEvent } from './events.ts'
import { type IssuingOptions, type LifetimeInput, parseLifetime } from './generator.ts'
import { readToken, requireRecord, type TokenRef } from './lookup.ts'
import { findByText } from './proof.ts'
import { matches, rangeFor, type TokenFilter } from './token-filter.ts'

/** What may be changed of a token. An absent field keeps what is there, `null` clears it. */
export interface UpdateInput extends PolicyInput, LifetimeInput, AboutInput, Attribution {}

/** A page of a list. */
export interface ListInput extends TokenFilter {
  /** 1 to 1000. Default 100. */
  readonly limit?: number | undefined
  /** Where the page before ended. Give the same filter and order with it. */
  readonly cursor?: string | undefined
  /** `created` (default), `rotated` (age of the current version) or `ends` (only tokens with an end). */
  readonly order?: 'created' | 'rotated' | 'ends' | undefined
  /** Newest (or latest) first. Default false. */
  readonly reverse?: boolean | undefined
}

/** What to revoke: a token by name, id or its own text, or all live ones of an owner or with a tag. */
export type RevokeTarget =
  | TokenRef
  | { readonly token: string }
  | { readonly where: { readonly owner?: string | undefined; readonly tag?: string | undefined } }

/** Which token a text belongs to. */
export interface IdentifiedToken {
  readonly token: TokenView
  /** Which of its versions the text is, as in {@link TokenView.versions}. */
  readonly version: number
  /** Whether the text would prove the token now, whatever else a call needs. */
  readonly live: boolean
}

/** How to revoke. */
export interface RevokeOptions extends Attribution {
  /** End only this version, pending or previous; the token lives on. */
  readonly version?: number | undefined
}

/** What this class does to tokens: the journal's action, and the event's name. */
type ChangeName = 'token.updated' | 'token.disabled' | 'token.enabled' | 'token.revoked'

/** Records read for one page of a list, at most. */
const PAGE_READS = 1000

/**
 * Reads, lists and changes tokens. Every change holds at the next verification.
 *
 * @example
 * ```ts
 * await registry.update('MY_API', { scopes: ['orders:read', 'orders:write'], actor: 'alice', reason: 'ticket 42' })
 * for await (const page of …) // or: let page = await registry.list({ owner: 'team-a' })
 * ```
 */
export class Registry {
  readonly #base: Foundation<IssuingEvents>
  readonly #catalog: ScopeCatalog | undefined
  readonly #cleanup: Cleanup

  /** @param options - store, keys and, if wanted, the known scopes */
  constructor(options: IssuingOptions) {
    this.#base = Foundation.of(options)
    this.#catalog = options.scopes
    this.#cleanup = new Cleanup(this.#base)
  }

  /**
   * The token that holds a name, or the one with an id (ended ones too, until they are removed).
   *
   * @returns `undefined` when there is none
   */
  async get(ref: TokenRef): Promise<TokenView | undefined> {
    const found = await readToken(this.#base.store, ref)
    return found && viewOf(found, this.#base.clock.now())
  }

  /**
   * The token that a text is or was a version of, for whoever finds one where it shouldn't be. It is looked up by its digest,
   * and nothing is counted or told.
   *
   * @returns `undefined` for a text that is none of ours, or whose version was forgotten
   * @throws KeyRingMismatchError, KeyInUseError; StoreError
   */
  async identify(text: string): Promise<IdentifiedToken | undefined> {
    await this.#base.ready()
    const found = await findByText(this.#base, text)
    if (found === undefined) return undefined
    const now = this.#base.clock.now()
    const { value } = found.stored
    const { n, state } = found.version
    const refused = value.canary === true || value.disabled !== undefined || value.revoked !== undefined
    const live = !refused && state !== 'retired' && now < endOf(found.version, value.lifetime)
    return { token: viewOf(found.stored, now), version: n, live }
  }

  /**
   * A page of tokens. Filters that no index serves are applied to what the best one finds, at most 1000 records a
   * page: a short or empty page with a cursor is normal.
   *
   * @throws InvalidInputError for an unknown field, order or limit
   */
  async list(input: ListInput = {}): Promise<Page<TokenView>> {
    checkFields('filter', input, ['owner', 'tag', 'level', 'type', 'status', 'limit', 'cursor', 'order', 'reverse'])
    const { limit = 100, cursor, order = 'created', reverse } = input
    if (!Number.isInteger(limit) || limit < 1 || limit > PAGE_READS) {
      throw new InvalidInputError('limit', `must be a whole number from 1 to ${PAGE_READS}`, 'leave it out for 100')
    }
    if (order !== 'created' && order !== 'rotated' && order !== 'ends') {
      throw new InvalidInputError('order', 'is not an order', "use 'created', 'rotated' or 'ends'")
    }
    if (cursor !== undefined && typeof cursor !== 'string')
      throw new InvalidInputError('cursor', 'is not a cursor', 'give the one of the page before')
    const now = this.#base.clock.now()
    const range = rangeFor(input, order, now)
    const items: TokenView[] = []
    let next = cursor
    for (let reads = 0; reads < PAGE_READS; ) {
      // Asking for what is still missing keeps the cursor exactly behind the last item that is handed out.
      const page = await this.#base.store.list(tokenKind, {
        ...range,
        reverse,
        limit: limit - items.length,
        cursor: next,
      })
      reads += page.items.length
      for (const stored of page.items) if (matches(stored.value, input, now)) items.push(viewOf(stored, now))
      next = page.cursor
      if (next === undefined || items.length === limit) break
    }
    return next === undefined ? { items } : { items, cursor: next }
  }

  /**
   * Changes what a token may do, how long it lives, or what is said of it. Holds at the next verification; limits keep
   * what was used of them.
   *
   * @throws InvalidInputError; TokenNotFoundError; TokenRevokedError; StaleRevisionError when others keep changing it
   * @event token.updated
   */
  async update(ref: TokenRef, input: UpdateInput): Promise<TokenView> {
    const fields = [...POLICY_FIELDS, ...ABOUT_FIELDS, 'expiresIn', 'expiresAt', 'grace'] as const
    checkFields('input', input, [...fields, 'actor', 'reason'])
    const by = checkAttribution(input)
    const given = fields.filter((field) => input[field] !== undefined)
    const { clock } = this.#base
    return this.#change(
      ref,
      by,
      'token.updated',
      { detail: { fields: given.join(' ') } },
      (token) => {
        const { lifetime: before, about: said, warnedDays, ...rest } = token
        const lifetime = parseLifetime(input, before, clock)
        const about = parseAbout(input, said)
        return {
          ...rest,
          policy: parsePolicy(input, token.policy, this.#catalog),
          ...(lifetime && { lifetime }),
          ...(about && { about }),
          // Another end is announced anew.
          ...(warnedDays !== undefined &&
            input.expiresAt === undefined &&
            input.expiresIn === undefined && { warnedDays }),
        }
      },
      (event) => ({ ...event, fields: given }),
    )
  }

  /**
   * Refuses a token until it is enabled again. Disabling a disabled one changes nothing.
   *
   * @throws TokenNotFoundError; TokenRevokedError
   * @event token.disabled
   */
  async disable(ref: TokenRef, input: Attribution = {}): Promise<TokenView> {
    const by = checkAttribution(input)
    const mark = { at: this.#base.clock.now(), ...(by.reason !== undefined && { reason: by.reason }) }
    return this.#change(ref, by, 'token.disabled', {}, (token) =>
      token.disabled ? undefined : { ...token, disabled: mark },
    )
  }

  /**
   * Lets a disabled token verify again. Enabling an enabled one changes nothing.
   *
   * @throws TokenNotFoundError; TokenRevokedError
   * @event token.enabled
   */
  async enable(ref: TokenRef, input: Attribution = {}): Promise<TokenView> {
    const by = checkAttribution(input)
    const open = ({ disabled: _, ...token }: TokenRecord): TokenRecord => token
    return this.#change(ref, by, 'token.enabled', {}, (token) => (token.disabled ? open(token) : undefined))
  }

  /**
   * Ends a token for good, with all its versions, or one pending or previous version. Revoking what is revoked changes
   * nothing. `{ where }` goes through every live token it names and finishes the rest when some are ended already.
   *
   * @returns the tokens that it ended or found ended
   * @throws InvalidInputError; TokenNotFoundError; TokenStateError for a version that can't be ended by itself
   * @event token.revoked
   */
  async revoke(target: RevokeTarget, options: RevokeOptions = {}): Promise<TokenView[]> {
    checkFields('options', options, ['actor', 'reason', 'version'])
    const by = checkAttribution(options)
    if (typeof target === 'object' && target !== null && 'where' in target) {
      if (options.version !== undefined) throw new InvalidInputError('version', "can't go with where", 'name one token')
      return this.#revokeWhere(target.where, by)
    }
    let ref: TokenRef
    if (typeof target === 'object' && target !== null && 'token' in target) {
      await this.#base.ready()
      const proved = await findByText(this.#base, target.token)
      if (proved === undefined) throw new TokenNotFoundError('with that text')
      ref = { id: proved.stored.id }
    } else ref = target
    return [await this.#revoke(ref, by, options.version)]
  }

  /**
   * Removes tokens that ended more than `retention` ago (a tombstone stays, so that nothing revives them), and puts
   * away versions that are past their grace. Does a bounded amount of work; `more` says whether to call again.
   *
   * @param options - `retention`: how long ended tokens stay. Default 30 days
   * @event token.removed
   */
  cleanup(options: CleanupOptions = {}): Promise<CleanupReport> {
    return this.#cleanup.run(options)
  }

  async #revokeWhere(
    where: { readonly owner?: string | undefined; readonly tag?: string | undefined },
    by: Attribution,
  ): Promise<TokenView[]> {
    checkFields('where', where, ['owner', 'tag'])
    if (where.owner === undefined && where.tag === undefined) {
      throw new InvalidInputError('where', 'names neither owner nor tag', 'name at least one')
    }
    const done: TokenView[] = []
    const turns = new Turns(this.#base.clock)
    for (let cursor: string | undefined; ; ) {
      const page: Page<TokenView> = await this.list({ ...where, limit: 500, cursor })
      for (const { id, status } of page.items) {
        await turns.due()
        if (status === 'active' || status === 'disabled') done.push(await this.#revoke({ id }, by, undefined))
      }
      cursor = page.cursor
      if (cursor === undefined) return done
    }
  }

  #revoke(ref: TokenRef, by: Attribution, version: number | undefined): Promise<TokenView> {
    const { clock } = this.#base
    const detail = version === undefined ? {} : { detail: { version } }
    return this.#change(
      ref,
      by,
      'token.revoked',
      { ...detail, evenRevoked: true },
      (token) => {
        if (token.revoked !== undefined) return undefined
        const now = clock.now()
        if (version === undefined)
          return { ...token, revoked: { at: now, ...(by.reason !== undefined && { reason: by.reason }) } }
        const found = token.versions.find((v) => v.n === version)
        if (found === undefined || found.state === 'current') {
          throw new TokenStateError(
            token.id,
            `version ${version} of '${token.service}' ${found ? 'is the current one' : "isn't there"}`,
            'name a pending or previous version, or revoke the token',
          )
        }
        return found.state === 'retired'
          ? undefined
          : { ...token, versions: retire(token.versions, token.lifetime, version, now) }
      },
      (event) => ({ ...event, ...(version !== undefined && { version }) }),
    )
  }

  /** Reads, decides and commits, anew while others are faster; `undefined` from `decide` = nothing to do. */
  async #change<Name extends ChangeName>(
    ref: TokenRef,
    by: Attribution,
    action: Name,
    options: { readonly detail?: { readonly [name: string]: string | number }; readonly evenRevoked?: boolean },
    decide: (token: TokenRecord) => TokenRecord | undefined,
    complete: (event: TokenEvent) => IssuingEvents[Name] = (event) => event as IssuingEvents[Name],
  ): Promise<TokenView> {
    await this.#base.ready()
    const { store, clock } = this.#base
    return retryStale(async () => {
      const stored = await requireRecord(store, ref)
      const { value: token, id, revision } = stored
      if (token.revoked !== undefined && !options.evenRevoked) throw new TokenRevokedError(token.service, id)
      if (token.nameReleased && !options.evenRevoked) {
        throw new TokenStateError(
          id,
          `the token '${token.service}' (${id}) has expired, and its name went to another token`,
          'change that one',
        )
      }
      const decided = decide(token)
      if (decided === undefined) return viewOf(stored, clock.now())
      const at = clock.now()
      const value: TokenRecord = { ...decided, updatedAt: at }
      const { detail } = options
      const change = { kind: tokenKind, id, revision, to: { value }, action, ...(detail && { detail }) }
      const payload = complete(eventOf(token, by, at))
      const [changed] = await this.#base.write(by, [change], [{ name: action, about: id, payload }])
      return viewOf(changed as Stored<TokenRecord>, at)
    })
  }
}
