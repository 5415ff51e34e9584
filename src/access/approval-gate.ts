import { createHmac } from 'node:crypto'
import { canonicalJson, lengthPrefixed } from '../kernel/bytes.ts'
import { type Duration, parseDuration } from '../kernel/duration.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import { checkFields } from '../kernel/fields.ts'
import { nextRevision, type Stored } from '../kernel/kind.ts'
import { RisingIds } from '../kernel/rising-ids.ts'
import { type ReceivedHeaders, verifyWebhook, type WebhookKey } from '../kernel/signed-webhook.ts'
import { withTimeLimit } from '../kernel/time-limit.ts'
import { type Attribution, type Change, checkAttribution, retryStale } from '../stores/commit.ts'
import { StaleRevisionError, UniqueConflictError } from '../stores/errors.ts'
import { Foundation, type FoundationSource } from '../stores/foundation.ts'
import type { Page } from '../stores/token-store.ts'
import { agentOf } from '../tokens/agent-account.ts'
import { ApprovalNotFoundError, ApprovalStateError, SelfApprovalError } from './approval-errors.ts'
import type { ApprovalEvent, ApprovalEvents } from './approval-events.ts'
import { type ApprovalPolicy, type ApprovalPolicyInput, approvalPolicy } from './approval-policy.ts'
import { type ApprovalRecord, type ApprovalStatus, approvalKind, statusAt } from './approval-record.ts'
import { type ApprovalRequest, parseRequest } from './approval-request.ts'

/** What an approver decided. */
export interface ApprovalDecision {
  readonly decision: 'approve' | 'deny'
  /** Who. */
  readonly approver: string
  readonly reason?: string | undefined
}

/** How approvals are asked for and given. */
export interface ApprovalSettings {
  /** Which calls need one. Default: tools of critical risk. */
  readonly policy?: ApprovalPolicyInput | undefined
  /** How long a request can be decided, and an approval used, from the asking. Default 15 min, at most 7 d. */
  readonly ttl?: Duration | undefined
  /** Asked at once for each request; may answer later, by `approve` or `deny`, and then returns nothing. At most 60 s. */
  readonly approver?: ((request: ApprovalView) => unknown) | undefined
  /** The key of decisions that come as signed webhooks, see {@link ApprovalGate.webhook}. */
  readonly webhookSecret?: WebhookKey | readonly WebhookKey[] | undefined
}

/** What an {@link ApprovalGate} is made from. */
export type ApprovalGateOptions = FoundationSource<ApprovalEvents> & {
  /** Policy, times, approvers. */
  readonly approvals?: ApprovalSettings | undefined
}

/** What may be told of a request. A plain frozen object. */
export type ApprovalView = Omit<ApprovalRecord, 'digest'>

/** Why an approval can't be used for a call. */
export type ApprovalRefusal = 'unknown' | 'pending' | 'denied' | 'consumed' | 'expired' | 'other_call'

const APPROVER_MS = 60_000
/** Decided and expired requests go after this long, ms. */
const RETENTION = 90 * 86_400_000
const PER_SWEEP = 250
/** What a request may be listed by: that it has expired is told by the time, not by an index. */
const LISTED: readonly ApprovalStatus[] = ['pending', 'approved', 'denied', 'consumed']

/**
 * Approvals of single calls: bound to token, owner, tool, risk and arguments by a keyed digest, used once, for some minutes, never
 * given by the token's own owner. Every step is in the journal.
 *
 * @example
 * ```ts
 * const answer = await tokens.verify(token, { tool: 'install_package', args: { name: 'nginx' } })
 * if (!answer.ok && answer.code === 'approval_required') {
 *   const { id } = await tokens.approvals.request(answer.approvalRequest)
 *   await tokens.approvals.approve(id, 'alice', { reason: 'ticket 42' })
 *   await tokens.verify(token, { tool: 'install_package', args: { name: 'nginx' }, approval: id }) // ok, once
 * }
 * ```
 */
export class ApprovalGate {
  /** Which calls need an approval. @internal */
  readonly policy: ApprovalPolicy
  readonly #base: Foundation<ApprovalEvents>
  readonly #ids: RisingIds
  readonly #ttl: number
  readonly #approver: ApprovalSettings['approver']
  readonly #webhookSecret: ApprovalSettings['webhookSecret']

  /**
   * @param options - store, keys and, if wanted, policy and approvers
   * @throws InvalidInputError for settings that can't be used
   */
  constructor(options: ApprovalGateOptions) {
    this.#base = Foundation.of(options)
    this.#ids = new RisingIds(this.#base.random)
    const settings = options.approvals ?? {}
    checkFields('approvals', settings, ['policy', 'ttl', 'approver', 'webhookSecret'])
    this.policy = approvalPolicy(settings.policy)
    this.#ttl = parseDuration('approvals.ttl', settings.ttl ?? '15m', { min: 1000, max: 7 * 86_400_000 })
    if (settings.approver !== undefined && typeof settings.approver !== 'function') {
      throw new InvalidInputError('approvals.approver', 'is not a function', 'give a function, or leave it out')
    }
    this.#approver = settings.approver
    this.#webhookSecret = settings.webhookSecret
  }

  /**
   * Asks for an approval of one call. The same call again, while it is open, is the same request.
   *
   * @param request - as a refusal's `approvalRequest` gives it
   * @throws InvalidInputError for what is no request
   * @event approval.requested; approval.approved where the policy approves by itself, or the approver at once
   */
  async request(request: unknown, options: Attribution = {}): Promise<ApprovalView> {
    checkFields('options', options, ['actor', 'reason'])
    const by = checkAttribution(options)
    const asked = parseRequest(request)
    await this.#base.ready()
    const { clock } = this.#base
    const now = clock.now()
    const record: ApprovalRecord = {
      id: `apr_${this.#ids.next(now)}`,
      ...asked,
      digest: this.#digest(asked),
      status: 'pending',
      requestedAt: now,
      expiresAt: now + this.#ttl,
    }
    const stored = await this.#open(record, by)
    if (stored.value.id !== record.id) return viewOf(stored.value, now)
    if (this.policy.isAutomatic(record.risk)) {
      return this.#decide(record.id, { decision: 'approve', approver: 'policy', reason: 'approved by the policy' })
    }
    return (await this.#askApprover(record)) ?? viewOf(record, now)
  }

  /**
   * Approves a request.
   *
   * @param id - the request's id
   * @param approver - who: at most 256 characters, and not the token's own owner
   * @throws ApprovalNotFoundError; ApprovalStateError; SelfApprovalError; InvalidInputError
   * @event approval.approved
   */
  approve(id: string, approver: string, options: Pick<Attribution, 'reason'> = {}): Promise<ApprovalView> {
    return this.#decide(id, { decision: 'approve', approver, reason: options.reason })
  }

  /**
   * Refuses a request.
   *
   * @param id - the request's id
   * @param approver - who: at most 256 characters
   * @throws ApprovalNotFoundError; ApprovalStateError; SelfApprovalError; InvalidInputError
   * @event approval.denied
   */
  deny(id: string, approver: string, options: Pick<Attribution, 'reason'> = {}): Promise<ApprovalView> {
    return this.#decide(id, { decision: 'deny', approver, reason: options.reason })
  }

  /**
   * Takes a decision that comes as a webhook, signed as the Standard Webhooks specification asks, with the JSON body
   * `{ id, decision: 'approve' | 'deny', approver, reason? }`.
   *
   * @returns the request as it stands then; `undefined` when the message isn't good, and is to be answered with 401
   * @throws ApprovalNotFoundError; ApprovalStateError; SelfApprovalError; InvalidInputError
   */
  async webhook(message: {
    readonly headers: ReceivedHeaders
    readonly body: string
  }): Promise<ApprovalView | undefined> {
    if (this.#webhookSecret === undefined) {
      throw new InvalidInputError('approvals.webhookSecret', 'is not set', 'set it to take decisions by webhook')
    }
    const { headers, body } = message
    const checked = verifyWebhook({ secret: this.#webhookSecret, headers, body, now: this.#base.clock.now() })
    if (!checked.ok || body.length > 16_384) return undefined
    let decision: unknown
    try {
      decision = JSON.parse(body)
    } catch {
      throw new InvalidInputError('body', 'is not JSON', 'send { id, decision, approver }')
    }
    const { id, ...rest } = checkFields('body', decision, ['id', 'decision', 'approver', 'reason'])
    return this.#decide(String(id), rest as unknown as ApprovalDecision)
  }

  /** One request; `undefined` when there is none. */
  async get(id: string): Promise<ApprovalView | undefined> {
    const { store, clock } = this.#base
    const stored = await store.get(approvalKind, id)
    return stored && viewOf(stored.value, clock.now())
  }

  /** Requests of a status, oldest first. Those that ran out are among `pending` and `approved`, as `expired`. */
  async list(
    query: {
      readonly status?: Exclude<ApprovalStatus, 'expired'>
      readonly limit?: number
      readonly cursor?: string
    } = {},
  ): Promise<Page<ApprovalView>> {
    checkFields('query', query, ['status', 'limit', 'cursor'])
    const { status = 'pending', limit = 100, cursor } = query
    if (!LISTED.includes(status)) {
      throw new InvalidInputError('status', 'is none to list by', `use one of ${LISTED.join(', ')}`)
    }
    const { store, clock } = this.#base
    const page = await store.list(approvalKind, { index: 'status', in: status, limit, cursor })
    return { ...page, items: page.items.map(({ value }) => viewOf(value, clock.now())) }
  }

  /**
   * The request for a call, as a refusal gives it; `undefined` for arguments that nobody can approve, because they can't be
   * told apart for sure.
   *
   * @internal for the verifier
   */
  requestFor(
    token: { readonly id: string; readonly service: string; readonly owner: string | undefined },
    call: { readonly tool?: string | undefined; readonly args?: { readonly [name: string]: unknown } | undefined },
    risk: string | undefined,
  ): ApprovalRequest | undefined {
    const { id, service, owner } = token
    const asked = { token: id, service, tool: call.tool, args: call.args ?? {}, risk: risk ?? 'critical' }
    try {
      return parseRequest(owner === undefined ? asked : { ...asked, owner })
    } catch {
      // What a client sends can't be an exception of ours.
      return undefined
    }
  }

  /**
   * Whether an approval is good for a call, without using it.
   *
   * @returns the record to be used, or why it is no good
   * @internal for the verifier
   */
  async peek(id: string, call: ApprovalRequest): Promise<Stored<ApprovalRecord> | ApprovalRefusal> {
    const { store, clock } = this.#base
    const stored = await store.get(approvalKind, id)
    if (stored === undefined) return 'unknown'
    const status = statusAt(stored.value, clock.now())
    if (stored.value.digest !== this.#digest(call)) return 'other_call'
    return status === 'approved' ? stored : status
  }

  /**
   * Uses an approval that was looked at before.
   *
   * @returns false when another call was faster
   * @event approval.consumed
   * @internal for the verifier
   */
  async consume({ id, revision, value: approval }: Stored<ApprovalRecord>): Promise<boolean> {
    const now = this.#base.clock.now()
    const value: ApprovalRecord = { ...approval, status: 'consumed', consumedAt: now }
    const told = { name: 'approval.consumed' as const, about: approval.token, payload: eventOf(value, now) }
    try {
      await this.#base.write({ actor: approval.token }, [changeOf(value, revision, 'approval.consumed')], [told])
      return true
    } catch (error) {
      const stands = await this.#base.store.get(approvalKind, id)
      if (stands?.revision !== revision) return false
      throw error
    }
  }

  /** Removes requests that ended long ago. */
  async tick(now: number): Promise<void> {
    const { store } = this.#base
    const { items } = await store.list(approvalKind, { index: 'ends', to: now - RETENTION, limit: PER_SWEEP })
    for (const { id, revision, value } of items) {
      const tombstone = { endedAt: value.expiresAt, reason: statusAt(value, now), digests: [] }
      const change = { kind: approvalKind, id, revision, to: { tombstone }, action: 'approval.removed' }
      try {
        await this.#base.write({}, [change], [])
      } catch (error) {
        // Another instance removed it.
        if (!(error instanceof StaleRevisionError)) throw error
      }
    }
  }

  /** All that a decision goes by: whoever asks may tell a lower risk, or another owner, than the call has. */
  #digest({ token, service, owner = '', tool, args, risk }: ApprovalRequest): string {
    const text = lengthPrefixed([token, service, owner, tool, risk, canonicalJson(args)])
    return createHmac('sha256', this.#base.keys.subkey('approval')).update(text).digest('base64url')
  }

  /** Writes a new request, unless the same call is asked for already. */
  #open(record: ApprovalRecord, by: Attribution): Promise<Stored<ApprovalRecord>> {
    const { store, clock } = this.#base
    return retryStale(async () => {
      const open = await store.find(approvalKind, 'pending', [record.digest])
      const changes: Change<ApprovalRecord>[] = [changeOf(record, 0, 'approval.requested')]
      if (open !== undefined) {
        if (statusAt(open.value, clock.now()) === 'pending') return open
        changes.unshift(changeOf({ ...open.value, status: 'expired' }, open.revision, 'approval.expired'))
      }
      const payload = { ...eventOf(record, record.requestedAt), expiresAt: record.expiresAt }
      try {
        await this.#base.write(by, changes, [{ name: 'approval.requested', about: record.token, payload }])
      } catch (error) {
        const other = error instanceof UniqueConflictError ? await store.get(approvalKind, error.holder) : undefined
        if (other === undefined) throw error
        return other
      }
      return { id: record.id, revision: nextRevision(0), value: record }
    })
  }

  async #askApprover(record: ApprovalRecord): Promise<ApprovalView | undefined> {
    const approver = this.#approver
    if (approver === undefined) return undefined
    const { clock, events } = this.#base
    try {
      const view = viewOf(record, clock.now())
      const decision = await withTimeLimit(clock, APPROVER_MS, () => approver(view))
      if (decision === undefined || decision === null) return undefined
      return await this.#decide(record.id, decision as ApprovalDecision)
    } catch (error) {
      // The request stays open: others may decide.
      events.listenerFailed('approval.requested', error)
      return undefined
    }
  }

  async #decide(id: string, input: ApprovalDecision): Promise<ApprovalView> {
    const { decision, approver, reason } = checkFields('decision', input, ['decision', 'approver', 'reason'])
    if (decision !== 'approve' && decision !== 'deny') {
      throw new InvalidInputError('decision', "is neither 'approve' nor 'deny'", 'give one of them')
    }
    if (typeof approver !== 'string') throw new InvalidInputError('approver', 'is not a name', 'say who decides')
    const by = checkAttribution({ actor: approver, reason: reason as string | undefined })
    await this.#base.ready()
    const { store, clock } = this.#base
    return retryStale(async () => {
      const stored = await store.get(approvalKind, id)
      if (stored === undefined) throw new ApprovalNotFoundError()
      const { value: approval, revision } = stored
      const now = clock.now()
      const status = statusAt(approval, now)
      if (status !== 'pending') throw new ApprovalStateError(id, status)
      const { owner, token, service } = approval
      if ([owner, token, service, agentOf(token)].includes(approver)) throw new SelfApprovalError(id)
      const name = decision === 'approve' ? ('approval.approved' as const) : ('approval.denied' as const)
      const value: ApprovalRecord = {
        ...approval,
        status: decision === 'approve' ? 'approved' : 'denied',
        decidedAt: now,
        approver,
        ...(by.reason !== undefined && { reason: by.reason }),
      }
      const payload = { ...eventOf(value, now), approver, ...(by.reason !== undefined && { reason: by.reason }) }
      await this.#base.write(by, [changeOf(value, revision, name)], [{ name, about: value.token, payload }])
      return viewOf(value, now)
    })
  }
}

function changeOf(value: ApprovalRecord, revision: number, action: string): Change<ApprovalRecord> {
  const { id, token, tool, risk } = value
  return { kind: approvalKind, id, revision, to: { value }, action, detail: { token, tool, risk } }
}

function eventOf({ id, token, service, tool, risk }: ApprovalRecord, at: number): ApprovalEvent {
  return { id, token, service, tool, risk, at }
}

function viewOf(approval: ApprovalRecord, now: number): ApprovalView {
  const { digest: _, ...rest } = approval
  return Object.freeze({ ...rest, status: statusAt(approval, now) })
}
