import { POLICY_FIELDS, type PolicyInput, parsePolicy } from '../access/policy-input.ts'
import type { ScopeCatalog } from '../access/scope-catalog.ts'
import type { Clock } from '../kernel/clock.ts'
import { type Duration, type Instant, parseDuration, parseInstant } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import type { Stored } from '../kernel/kind.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type Attribution, type Change, checkAttribution, type Row } from '../stores/commit.ts'
import { StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import { ABOUT_FIELDS, type AboutInput, checkName, parseAbout } from '../tokens/about.ts'
import { digestKeys, type ForeignDigest, oneDigest, parseForeignDigest } from '../tokens/digest.ts'
import {
  checkForeignText,
  type FormatInput,
  internFormat,
  parseFormat,
  previewOf,
  type TokenFormat,
} from '../tokens/format.ts'
import { KnownFormats } from '../tokens/known-formats.ts'
import {
  endOfToken,
  internLifetime,
  newRecord,
  type TokenLifetime,
  type TokenRecord,
  type TokenVersion,
  tokenKind,
} from '../tokens/record.ts'
import type { TokenView } from '../tokens/token-view.ts'
import type { Version } from '../tokens/versions.ts'
import { viewOf } from '../tokens/view.ts'
import { ServiceExistsError, TokenExistsError } from './errors.ts'
import { eventOf, type IssuingEvents } from './events.ts'
import { birthOf, proofOf } from './new-token.ts'

/** How long a token lives. In an update an absent field keeps what is there, and `null` clears it. */
export interface LifetimeInput {
  /** The lifetime of each version, from its making; 1 s or more. */
  readonly expiresIn?: Duration | null | undefined
  /** The instant at which the whole token ends, whatever is rotated. */
  readonly expiresAt?: Instant | null | undefined
  /** How long a superseded version lives on when a rotation doesn't say. Default 24 h. */
  readonly grace?: Duration | null | undefined
}

/** What a token is made from; all but the name has a default. */
export interface GenerateInput extends FormatInput, PolicyInput, LifetimeInput, AboutInput, Attribution {
  /** The token's name, at most 128 characters; unique among tokens neither revoked nor expired. */
  readonly service: string
  /**
   * Makes a trap of it: it never verifies (the answer is that of an unknown string), and presenting it raises a
   * `security.canaryUsed` alert until it is disabled or revoked. Can't be changed later. Default false.
   */
  readonly canary?: boolean | undefined
}

/** What an import is made from: a token or its digest, and what {@link GenerateInput} has; the form is that of its successors. */
export interface ImportInput extends Omit<GenerateInput, 'type'> {
  /** The token itself, where it is known. */
  readonly token?: string | undefined
  /** Else its digest as another system keeps it. */
  readonly digest?: ForeignDigest | undefined
  /** When it was made. Default: now. */
  readonly createdAt?: Instant | undefined
}

/** What a token is made with where the caller doesn't say. */
export type GenerateDefaults = Omit<FormatInput & PolicyInput & LifetimeInput, 'allowWeak'>

/** What the services of this room share, beside a foundation. */
export interface IssuingSettings {
  /** The known scopes; with it, unknown ones are refused. */
  readonly scopes?: ScopeCatalog | undefined
  /** Forms with a prefix all of whose tokens carry a checksum, so that a typo is refused without a look-up. */
  readonly formats?: readonly FormatInput[] | KnownFormats | undefined
  /** What new tokens get where the caller doesn't say. */
  readonly defaults?: GenerateDefaults | undefined
}

/** Store, keys and settings. */
export type IssuingOptions = FoundationSource<IssuingEvents> & IssuingSettings

/** A new token: its text, the one time that it exists, and what may be told of it. */
export interface Generated {
  /** The token. Hand it to its owner; it can't be read back (unless it is retrievable). */
  readonly token: string
  /** What may be told of it, never a secret. */
  readonly record: TokenView
}

/** A token that is about to be made. */
export type NewToken = Omit<TokenRecord, 'versions'>

/** What goes with a new token. */
export interface Companions {
  /** Written in the same commit. */
  readonly rows: readonly Row[]
  /** See {@link TokenVersion.datedAt}. */
  readonly datedAt?: number | undefined
}

/**
 * Makes tokens, and takes over tokens that other systems made.
 *
 * @example
 * ```ts
 * const generator = new Generator({ store: new MemoryTokenStore(), keys: generateSecret() })
 * const { token, record } = await generator.generate({ service: 'MY_API', prefix: 'sk_', scopes: ['orders:read'], expiresIn: '30d' })
 * ```
 */
export class Generator {
  readonly #base: Foundation<IssuingEvents>
  readonly #catalog: ScopeCatalog | undefined
  readonly #formats: KnownFormats
  readonly #defaults: GenerateDefaults
  readonly #ids: RisingIds

  /**
   * @param options - store, keys and, if wanted, scopes, formats and defaults
   * @throws InvalidInputError for bad options
   */
  constructor(options: IssuingOptions) {
    this.#base = Foundation.of(options)
    this.#ids = new RisingIds(this.#base.random)
    this.#catalog = options.scopes
    this.#formats = options.formats instanceof KnownFormats ? options.formats : new KnownFormats(options.formats)
    this.#defaults = defined(options.defaults ?? {}, DEFAULT_FIELDS)
    parseFormat(this.#defaults)
    parsePolicy(this.#defaults, undefined, this.#catalog)
    parseLifetime(this.#defaults, undefined, this.#base.clock)
  }

  /**
   * Makes a token and stores it, without its text, in one commit.
   *
   * @returns the text, the one time that it exists, and the record
   * @throws InvalidInputError for anything that can't be used, naming the field; ServiceExistsError when a live or
   * disabled token holds the name; FormatClashError; KeyRingMismatchError, KeyInUseError; StoreError
   * @event token.generated
   */
  generate(input: GenerateInput): Promise<Generated> {
    return this.issue(input, () => ({ rows: [] }))
  }

  /**
   * {@link Generator.generate} with rows that are written in the same commit.
   *
   * @internal
   * @param input - as there
   * @param companions - called before anything is written; what it throws is thrown
   */
  async issue(input: GenerateInput, companions: (token: NewToken) => Companions): Promise<Generated> {
    const options = { ...this.#defaults, ...defined(input, GENERATE_FIELDS) }
    const format = parseFormat(options)
    this.#formats.refuseClash(format)
    const draft = this.#draft(options, format)
    const { rows, datedAt } = companions(draft)
    const text = this.#formats.draw(format, this.#base.random)
    const { keys, random } = this.#base
    const proof = proofOf(text, draft, 1, keys, random)
    const dated = datedAt === undefined ? proof : { ...proof, datedAt }
    const record = await this.#create(draft, dated, input, false, rows)
    return { token: text, record }
  }

  /**
   * Takes over a token that another system made, by its text or by its digest. It verifies as it is; its first good
   * verification adds a digest of ours.
   *
   * @throws InvalidInputError, also when neither or both of `token` and `digest` are given; TokenExistsError when
   * this token is here or has been removed; ServiceExistsError; FormatClashError; StoreError
   * @event token.generated
   */
  async import(input: ImportInput): Promise<TokenView> {
    const options = { ...this.#defaults, ...defined(input, IMPORT_FIELDS) }
    const successors = parseFormat({ ...options, type: 'api_key' })
    const format = internFormat({ ...successors, type: 'imported' })
    this.#formats.refuseClash({ ...format, checksum: successors.checksum, type: 'api_key' })
    const draft = this.#draft(options, format)
    if ((input.token === undefined) === (input.digest === undefined)) {
      throw new InvalidInputError('token', 'or digest must be given, and not both', 'give the token where it is known')
    }
    const { keys, random, clock } = this.#base
    let proof: Omit<TokenVersion, keyof Version>
    if (input.token !== undefined) {
      checkForeignText(input.token, input.allowWeak === true)
      this.#formats.refuseText(input.token)
      proof = {
        ...proofOf(input.token, draft, 1, keys, random),
        preview: previewOf({ ...format, prefix: '' }, input.token),
      }
    } else {
      if (format.retrievable)
        throw new InvalidInputError('retrievable', 'needs the token itself', 'import by token, or leave it out')
      const { id, digest } = parseForeignDigest(input.digest as ForeignDigest)
      proof = { preview: '', digests: oneDigest(id, digest) }
    }
    const known = await this.#base.store.find(tokenKind, 'digest', digestKeys(proof.digests))
    if (known !== undefined) throw new TokenExistsError(known.id, false)
    const createdAt = input.createdAt === undefined ? clock.now() : parseInstant('createdAt', input.createdAt)
    if (createdAt > clock.now()) throw new InvalidInputError('createdAt', 'is in the future', 'leave it out for now')
    return this.#create({ ...draft, createdAt }, proof, input, true)
  }

  #draft(options: GenerateInput | ImportInput, format: TokenFormat): NewToken {
    const { clock } = this.#base
    const now = clock.now()
    const lifetime = parseLifetime(options, undefined, clock)
    const about = parseAbout(options, undefined)
    const { canary = false } = options
    if (typeof canary !== 'boolean')
      throw new InvalidInputError('canary', 'must be true or false', 'leave it out for a token that verifies')
    return {
      id: `tok_${this.#ids.next(now)}`,
      service: checkName('service', options.service, 128),
      format,
      policy: parsePolicy(options, undefined, this.#catalog),
      createdAt: now,
      ...(lifetime && { lifetime }),
      ...(about && { about }),
      ...(canary && { canary }),
    }
  }

  async #create(
    draft: NewToken,
    proof: Omit<TokenVersion, keyof Version>,
    input: Attribution,
    imported: boolean,
    rows: readonly Row[] = [],
  ): Promise<TokenView> {
    const { store, clock } = this.#base
    const by = checkAttribution(input)
    await this.#base.ready()
    const { service, id, createdAt } = draft
    const value = newRecord(draft, proof)
    const action = imported ? 'token.imported' : 'token.generated'
    for (let attempt = 1; ; attempt++) {
      const holder = await store.find(tokenKind, 'service', [service])
      const changes: Change<TokenRecord>[] = [{ kind: tokenKind, id, revision: 0, to: { value }, action }]
      if (holder !== undefined) changes.unshift(this.#releaseName(holder, clock.now()))
      try {
        const payload = { ...eventOf(draft, by, clock.now()), type: draft.format.type, imported }
        const told = [{ name: 'token.generated' as const, about: id, payload }]
        const stored = await this.#base.write(by, changes, told, [birthOf(id, 1, createdAt), ...rows])
        return viewOf(stored.at(-1) as Stored<TokenRecord>, clock.now())
      } catch (error) {
        if (error instanceof UniqueConflictError && error.index === 'digest')
          throw new TokenExistsError(error.holder, error.removed)
        const raced = error instanceof UniqueConflictError || error instanceof StaleRevisionError
        if (!raced || attempt === 10) throw error
        // Another caller took the name since it was looked up: look again, and tell by whom.
      }
    }
  }

  /** The change by which an expired token lets go of its name. */
  #releaseName(holder: Stored<TokenRecord>, now: number): Change<TokenRecord> {
    const { value: token, id, revision } = holder
    if (now < endOfToken(token)) throw new ServiceExistsError(token.service, id, token.disabled !== undefined)
    return {
      kind: tokenKind,
      id,
      revision,
      to: { value: { ...token, nameReleased: true, updatedAt: now } },
      action: 'token.name_released',
    }
  }
}

/**
 * Applies what a caller says of a token's lifetime to what was said before.
 *
 * @throws InvalidInputError for a lifetime under 1 s, an end in the past, or a negative grace
 */
export function parseLifetime(
  input: LifetimeInput,
  before: TokenLifetime | undefined,
  clock: Clock,
): TokenLifetime | undefined {
  const lifetime: { -readonly [field in keyof TokenLifetime]: TokenLifetime[field] } = { ...before }
  if (input.expiresIn === null) delete lifetime.expiresIn
  else if (input.expiresIn !== undefined)
    lifetime.expiresIn = parseDuration('expiresIn', input.expiresIn, { min: 1000 })
  if (input.expiresAt === null) delete lifetime.expiresAt
  else if (input.expiresAt !== undefined)
    lifetime.expiresAt = parseInstant('expiresAt', input.expiresAt, { after: clock.now() })
  if (input.grace === null) delete lifetime.grace
  else if (input.grace !== undefined) lifetime.grace = parseDuration('grace', input.grace, { allowZero: true })
  return Object.keys(lifetime).length === 0 ? undefined : internLifetime(lifetime)
}

const FORM_FIELDS = ['type', 'prefix', 'length', 'charset', 'checksum', 'retrievable', 'allowWeak']
const LIFETIME_FIELDS = ['expiresIn', 'expiresAt', 'grace']
const DEFAULT_FIELDS = [...FORM_FIELDS, ...POLICY_FIELDS, ...LIFETIME_FIELDS].filter((field) => field !== 'allowWeak')
const GENERATE_FIELDS = [
  'service',
  'canary',
  ...FORM_FIELDS,
  ...POLICY_FIELDS,
  ...LIFETIME_FIELDS,
  ...ABOUT_FIELDS,
  'actor',
  'reason',
]
const IMPORT_FIELDS = ['token', 'digest', 'createdAt', ...GENERATE_FIELDS.filter((field) => field !== 'type')]

function defined<T extends object>(input: T, known: readonly string[]): T {
  checkFields('input', input, known)
  const kept: Record<string, unknown> = {}
  for (const field of Object.keys(input)) {
    const value = input[field as keyof T]
    if (value !== undefined) kept[field] = value
  }
  return kept as T
}
