import { isJsonObject } from '../kernel/canonical-json.ts'
import type { Clock } from '../kernel/clock.ts'
import type { Envelope } from './answer.ts'
import type { CloudflareApi, Family, Run } from './api.ts'
import type { PermissionCatalogue } from './catalogue.ts'
import type { CatalogueCache } from './catalogue-cache.ts'
import { type Comparison, compare } from './compare.ts'
import {
  CatalogueIncompleteError,
  CloudflareApiError,
  SensitivePermissionError,
  TargetUnreadableError,
  UnknownPermissionGroupError,
} from './errors.ts'
import { type Expiry, expiryOf } from './expiry.ts'
import type { Fault } from './fault.ts'
import { foreignText } from './foreign-text.ts'
import { accountBound, checkCeiling, type Grant, type Owner, resolve } from './grant.ts'
import type { TargetReason, TargetReport } from './report.ts'
import type { RequirementList } from './requirement.ts'
import { userIdIn } from './resources.ts'
import { isSensitive } from './sensitive.ts'
import type { Target } from './targets.ts'
import { isId, readToken, type TokenRecord } from './token-record.ts'
import { healthOf, readingFailed, recommend, unusable, verificationFailed } from './verdict.ts'

/** What a {@link Checker} is made from. */
export interface CheckerOptions {
  readonly api: CloudflareApi
  readonly catalogues: CatalogueCache
  readonly clock: Clock
  /** By kind, what tokens may have; absent = no ceiling. */
  readonly ceiling:
    | { readonly account: RequirementList | undefined; readonly user: RequirementList | undefined }
    | undefined
  /** The sensitive groups that may be required. */
  readonly allowSensitive: ReadonlySet<string>
  /** By the name of a group, the names of those that it grants too. */
  readonly implies: { readonly [group: string]: readonly string[] }
  /** Whether more than is needed makes a token degraded. */
  readonly strict: boolean
}

/** A token that was found: all that a plan needs. */
export interface FoundToken {
  readonly family: Family
  readonly record: TokenRecord
  readonly catalogue: PermissionCatalogue
  /** What it needs. */
  readonly required: readonly Grant[]
  /** What it may have; the same as `required` without a ceiling. */
  readonly ceiling: readonly Grant[]
  readonly comparison: Comparison
}

/** What a check found of one target. */
export interface Finding {
  readonly target: Target
  readonly report: TargetReport
  /** Absent where its permissions couldn't be read. */
  readonly found?: FoundToken
}

interface Verified {
  readonly kind: 'account' | 'user' | undefined
  readonly id: string | undefined
  readonly verified: boolean | null
  readonly status?: string
  readonly expiresOn?: string
  readonly notBefore?: string
  readonly valid?: boolean | null
  readonly reason?: TargetReason
  readonly fault?: Fault
  /** What was thrown where it couldn't be verified. */
  readonly error?: CloudflareApiError
}

const MAX_EXCESS = 200

/** Looks at one token: verifies it, reads it, compares it. Two requests, and one for the catalogue where that isn't known. */
export class Checker {
  readonly #options: CheckerOptions
  /** The kind and id that a target turned out to have. */
  readonly #known = new Map<string, { readonly kind: 'account' | 'user'; readonly id: string }>()

  /** @param options - API, catalogues, ceiling */
  constructor(options: CheckerOptions) {
    this.#options = options
  }

  /**
   * Checks one target. What Cloudflare says no to is in the report.
   *
   * @throws UnknownPermissionGroupError, OutsideCeilingError, SensitivePermissionError: the configuration is wrong
   * @throws the signal's reason
   */
  async check(target: Target, run: Run): Promise<Finding> {
    const verified = await this.#verify(target, run)
    const kind = verified.kind ?? target.kind
    const id = target.tokenId ?? verified.id
    if (kind === undefined || id === undefined || verified.valid === false)
      return this.#unread(target, verified, kind, id)
    const mismatch = target.tokenId !== undefined && verified.id !== undefined && target.tokenId !== verified.id
    if (mismatch) return this.#unread(target, { ...verified, valid: false, reason: 'token_mismatch' }, kind, id)
    const family: Family = { kind, accountId: target.accountId }
    let read: Envelope
    try {
      read = await this.#options.api.token(family, id, run)
    } catch (error) {
      return this.#unreadable(target, verified, kind, id, error, run)
    }
    const record = readToken(read.result)
    if (typeof record === 'string' || record.id !== id) {
      const message = typeof record === 'string' ? `the token can't be understood: ${record}` : 'another token came'
      const reason = {
        reason: verified.reason ?? ('permissions_unreadable' as const),
        fault: { kind: 'unreadable', message } as const,
      }
      return this.#unread(target, { ...verified, ...reason, valid: verified.valid ?? null }, kind, id)
    }
    let catalogue: PermissionCatalogue
    try {
      catalogue = await this.#options.catalogues.get(family, run)
    } catch (error) {
      return this.#unreadable(target, verified, kind, id, error, run, record)
    }
    return this.#compare(target, verified, { family, record, catalogue })
  }

  /**
   * What a target needs and may have, by the catalogue.
   *
   * @throws UnknownPermissionGroupError, OutsideCeilingError, SensitivePermissionError
   */
  grants(
    target: Target,
    family: Family,
    catalogue: PermissionCatalogue,
    userId: string | undefined,
  ): { readonly required: readonly Grant[]; readonly ceiling: readonly Grant[]; readonly warnings: readonly string[] } {
    const list = target.required[family.kind]
    if (list === undefined) {
      throw new UnknownPermissionGroupError(target.name, `has no requirements for tokens of kind '${family.kind}'`, [])
    }
    const owner: Owner = { ...family, userId }
    const { grants: required, warnings } = resolve(list.list, catalogue, owner)
    // By the catalogue's names: an id that isn't known here may be one of them too.
    for (const { name } of required) {
      if (isSensitive(name) && !this.#options.allowSensitive.has(name)) throw new SensitivePermissionError(name)
    }
    const told = [...warnings, ...list.notes]
    if (this.#options.ceiling === undefined) return { required, ceiling: required, warnings: told }
    const ceiling = resolve(this.#options.ceiling[family.kind]?.list ?? [], catalogue, owner).grants
    checkCeiling(required, ceiling, owner)
    return { required, ceiling, warnings: told }
  }

  /**
   * Whose token a target is, and its id: as configured, as known from before, or asked of the token itself.
   *
   * @throws TargetUnreadableError when its verification doesn't tell; CloudflareApiError when nobody could be asked
   */
  async identify(target: Target, run: Run): Promise<{ readonly family: Family; readonly id: string }> {
    const known = this.#known.get(target.name)
    let kind = target.kind ?? known?.kind
    let id = target.tokenId ?? known?.id
    if (kind === undefined || id === undefined) {
      const verified = await this.#verify(target, run)
      kind ??= verified.kind
      id ??= verified.id
      if (kind === undefined || id === undefined) {
        // What says nothing of the token is no word against it.
        if (verified.error !== undefined && verified.valid !== false) throw verified.error
        throw new TargetUnreadableError(target.name, verified.reason ?? 'not_found', 'give its kind and tokenId')
      }
    }
    return { family: { kind, accountId: target.accountId }, id }
  }

  /** Asks the token itself, at its family's endpoint; without its text, nothing is asked. */
  async #verify(target: Target, run: Run): Promise<Verified> {
    const { token, tokenId, accountId } = target
    const known = this.#known.get(target.name)
    const kind = target.kind ?? known?.kind
    if (token === undefined) return { kind, id: tokenId, verified: null }
    const families: Family[] =
      kind !== undefined
        ? [{ kind, accountId }]
        : [
            { kind: 'user', accountId: undefined },
            ...(accountId === undefined ? [] : [{ kind: 'account', accountId } as const]),
          ]
    for (const [at, family] of families.entries()) {
      try {
        const { result } = await this.#options.api.verify(family, run, token)
        return this.#verifiedBy(target, family, result)
      } catch (error) {
        if (!(error instanceof CloudflareApiError)) throw error
        const { fault } = error
        // Only a credential that isn't known here may be known at the other family's endpoint.
        if (fault.kind === 'invalid_token' && at < families.length - 1) continue
        // Of several families, only a condition that refuses the address shows that the token is of this one.
        const told = families.length === 1 || fault.kind === 'ip_restricted'
        return {
          kind: told ? family.kind : undefined,
          id: known?.id,
          verified: failedVerification(fault),
          fault,
          error,
          ...verificationFailed(fault),
        }
      }
    }
    return { kind, id: tokenId, verified: null }
  }

  #verifiedBy(target: Target, family: Family, result: unknown): Verified {
    const { id, status, expires_on, not_before } = isJsonObject(result) ? result : {}
    if (typeof id !== 'string' || !isId(id) || typeof status !== 'string') {
      const fault = { kind: 'unreadable', message: 'a verification came without id or status' } as const
      return { kind: family.kind, id: target.tokenId, verified: null, valid: null, reason: 'unreachable', fault }
    }
    this.#known.set(target.name, { kind: family.kind, id })
    return {
      kind: family.kind,
      id,
      verified: status === 'active',
      status: status.slice(0, 64),
      ...(typeof expires_on === 'string' && { expiresOn: expires_on }),
      ...(typeof not_before === 'string' && { notBefore: not_before }),
    }
  }

  #compare(target: Target, verified: Verified, found: Pick<FoundToken, 'family' | 'record' | 'catalogue'>): Finding {
    const { family, record, catalogue } = found
    const { fields } = record
    const userId = userIdIn(record.policies.flatMap(({ resources }) => resources.slice(0, 100)))
    const { required, ceiling, warnings } = this.grants(target, family, catalogue, userId)
    const account = accountBound(family)
    const comparison = compare({
      policies: record.policies,
      required,
      ceiling,
      account,
      impliedBy: this.#impliedBy(required, catalogue),
      isKnown: (id) => catalogue.byId(id) !== undefined,
    })
    const now = this.#options.clock.now()
    const expiry = expiryOf(fields.expires_on, now)
    const broken = unusable(fields.status, fields.not_before, expiry, now) ?? this.#unusableByVerify(verified, now)
    const valid =
      broken !== undefined ? false : (verified.valid ?? (verified.verified === null && verified.fault ? null : true))
    const reason = broken ?? verified.reason ?? (expiry.severity === 'unreadable' ? 'expiry_unreadable' : undefined)
    const report = this.#report(target, verified, {
      kind: family.kind,
      tokenId: record.id,
      valid,
      status: fields.status,
      ...(reason !== undefined && { reason }),
      permissions: 'read',
      missing: comparison.missing,
      blocked: comparison.blocked,
      excess: comparison.excess.slice(0, MAX_EXCESS),
      excessCount: comparison.excess.length,
      deprecated: comparison.deprecated,
      expiry,
      ...(record.lastUsedOn !== undefined && { lastUsedOn: record.lastUsedOn }),
      warnings,
    })
    return { target, report, found: { ...found, required, ceiling, comparison } }
  }

  /** What the token's own verification says against it. */
  #unusableByVerify({ status, expiresOn, notBefore }: Verified, now: number): TargetReason | undefined {
    return status === undefined ? undefined : unusable(status, notBefore, expiryOf(expiresOn, now), now)
  }

  /** By the id of a required group, the ids of the groups that the host says grant it too. */
  #impliedBy(required: readonly Grant[], catalogue: PermissionCatalogue): Map<string, string[]> {
    const impliedBy = new Map<string, string[]>()
    for (const [holder, names] of Object.entries(this.#options.implies)) {
      for (const { group, name, scope } of required) {
        if (!names.includes(name)) continue
        const wider = catalogue.byName(holder).filter(({ scopes }) => scopes.includes(scope))
        impliedBy.set(group, [...(impliedBy.get(group) ?? []), ...wider.map(({ id }) => id)])
      }
    }
    return impliedBy
  }

  #unreadable(
    target: Target,
    verified: Verified,
    kind: 'account' | 'user',
    id: string,
    error: unknown,
    run: Run,
    record?: TokenRecord,
  ): Finding {
    run.signal?.throwIfAborted()
    let fault: Fault
    if (error instanceof CloudflareApiError) fault = error.fault
    else if (error instanceof CatalogueIncompleteError) fault = { kind: 'unreadable', message: error.message }
    else throw error
    const now = this.#options.clock.now()
    if (record === undefined) {
      const reason = verified.reason ?? this.#unusableByVerify(verified, now) ?? readingFailed(fault)
      const gone = reason === 'not_found' && verified.verified === null
      const bad = gone || this.#unusableByVerify(verified, now) !== undefined
      const valid = bad ? false : (verified.valid ?? verified.verified)
      return this.#unread(target, { ...verified, reason, fault: verified.fault ?? fault, valid }, kind, id)
    }
    const { fields } = record
    const expiry = expiryOf(fields.expires_on, now)
    const broken = unusable(fields.status, fields.not_before, expiry, now) ?? this.#unusableByVerify(verified, now)
    const reason = broken ?? verified.reason ?? readingFailed(fault)
    const valid = broken === undefined ? (verified.valid ?? verified.verified ?? true) : false
    return this.#unread(target, { ...verified, status: fields.status, reason, fault, valid }, kind, id, expiry)
  }

  /** A report of a token whose permissions aren't known: never "all is missing". */
  #unread(
    target: Target,
    verified: Verified,
    kind: 'account' | 'user' | undefined,
    tokenId: string | undefined,
    read?: Expiry,
  ): Finding {
    const now = this.#options.clock.now()
    const expiry = read ?? (verified.status === undefined ? null : expiryOf(verified.expiresOn, now))
    const list = kind === undefined ? undefined : target.required[kind]
    const report = this.#report(target, verified, {
      ...(kind !== undefined && { kind }),
      ...(tokenId !== undefined && { tokenId }),
      valid: verified.valid === undefined ? verified.verified : verified.valid,
      ...(verified.status !== undefined && { status: verified.status }),
      ...(verified.reason !== undefined && { reason: verified.reason }),
      permissions: 'unknown',
      missing: null,
      blocked: null,
      excess: null,
      excessCount: null,
      deprecated: null,
      expiry,
      warnings: list?.notes ?? [],
    })
    return { target, report }
  }

  #report(
    target: Target,
    verified: Verified,
    told: Omit<TargetReport, 'name' | 'accountId' | 'verified' | 'fault' | 'changed' | 'health' | 'recommendations'>,
  ): TargetReport {
    const facts = {
      name: target.name,
      ...(target.accountId !== undefined && { accountId: target.accountId }),
      verified: verified.verified,
      ...(verified.fault !== undefined && { fault: verified.fault }),
      changed: [],
      ...told,
      ...(told.status !== undefined && { status: foreignText(told.status, 64) }),
    }
    return judged(facts, this.#options.strict, this.#options.clock.now())
  }
}

/** A report with its health and its recommendations. */
export function judged(
  facts: Omit<TargetReport, 'health' | 'recommendations'>,
  strict: boolean,
  now: number,
): TargetReport {
  return { ...facts, health: healthOf(facts, strict), recommendations: recommend(facts, now) }
}

/** Whether a verification that failed says that the token is bad; `null` = it says nothing of the token. */
function failedVerification({ kind }: Fault): boolean | null {
  return kind === 'invalid_token' || kind === 'unauthenticated' ? false : null
}
