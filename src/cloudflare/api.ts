import type { Clock } from '../kernel/clock.ts'
import type { Random } from '../kernel/random.ts'
import { fullJitter, retry } from '../kernel/retry.ts'
import type { Secret } from '../kernel/secret.ts'
import { TimeLimitError, withTimeLimit } from '../kernel/time-limit.ts'
import { type Envelope, readEnvelope } from './answer.ts'
import { BodyTooLargeError } from './bounded-body.ts'
import type { CloudflareAnswer, CloudflareClient, CloudflareRequest } from './client.ts'
import { CloudflareApiError } from './errors.ts'
import { type Fault, faultOf, isPassing, waitOf } from './fault.ts'
import { TOKEN_WRITE } from './known-groups.ts'
import type { RequestBudget } from './request-budget.ts'
import type { TokenFields } from './token-record.ts'

/** Where a token is: an account's under its account, a user's under the user whom the credential belongs to. */
export interface Family {
  readonly kind: 'account' | 'user'
  readonly accountId: string | undefined
}

/** What a run shares among its requests. */
export interface Run {
  readonly budget: RequestBudget
  readonly signal: AbortSignal | undefined
}

/** What {@link CloudflareApi} is made from. */
export interface ApiOptions {
  readonly client: CloudflareClient
  readonly clock: Clock
  readonly random: Random
  /** How long one attempt may take, ms. */
  readonly timeoutMs: number
  /** How many attempts may follow the first of a read. */
  readonly retries: number
  /** Texts that no message may hold, whatever the server says. */
  readonly secrets: () => readonly Secret[]
}

/** The longest wait that a read goes along with, ms. */
const MAX_WAIT = 30_000
/** How long Cloudflare blocks all calls once they are too many, ms: at most. */
const BLOCK = 300_000

/** The requests to Cloudflare that the healer makes: reads are repeated within bounds, writes never. */
export class CloudflareApi {
  readonly #options: ApiOptions
  readonly #jitter: (attempt: number) => number

  /** @param options - client, time, bounds */
  constructor(options: ApiOptions) {
    this.#options = options
    this.#jitter = fullJitter({ base: 500, cap: 8000, random: options.random })
  }

  /** Verifies a token at its family's endpoint; without `token`, the credential of the client itself. */
  verify(family: Family, run: Run, token?: Secret): Promise<Envelope> {
    return this.#read('verifying a token', { path: `${base(family)}/verify`, ...(token && { token }) }, run)
  }

  /** Reads a token by its id. */
  token(family: Family, id: string, run: Run): Promise<Envelope> {
    return this.#read(`reading the token ${id}`, { path: `${base(family)}/${id}` }, run, family)
  }

  /** Reads the catalogue, whole: its default page hides most of it. */
  permissionGroups(family: Family, run: Run): Promise<Envelope> {
    const path = `${base(family)}/permission_groups`
    return this.#read('reading the permission groups', { path, query: { per_page: '1000' } }, run, family)
  }

  /** Reads the user whom the credential belongs to. */
  user(run: Run): Promise<Envelope> {
    return this.#read('reading the user', { path: '/user' }, run)
  }

  /** Asks an endpoint with a token whether it may, once. */
  async probe(path: string, token: Secret, run: Run): Promise<Fault | undefined> {
    try {
      await this.#once('probing', { method: 'GET', path, token }, run)
      return undefined
    } catch (error) {
      if (error instanceof CloudflareApiError) return error.fault
      throw error
    }
  }

  /** Replaces a token's fields. Once: whoever loses the answer reads what became of it. */
  update(family: Family, id: string, body: TokenFields, run: Run): Promise<Envelope> {
    return this.#once(`updating the token ${id}`, { method: 'PUT', path: `${base(family)}/${id}`, body }, run, family)
  }

  /** Rolls a token's value. Once: a second time would lose the value of the first. The empty body is what every version takes. */
  roll(family: Family, id: string, run: Run): Promise<Envelope> {
    return this.#once(
      `rolling the token ${id}`,
      { method: 'PUT', path: `${base(family)}/${id}/value`, body: {} },
      run,
      family,
    )
  }

  async #read(what: string, request: Omit<CloudflareRequest, 'method'>, run: Run, family?: Family): Promise<Envelope> {
    const { clock, retries } = this.#options
    try {
      return await retry(() => this.#once(what, { method: 'GET', ...request }, run, family), {
        clock,
        retries,
        delay: (attempt, error) => (error as CloudflareApiError).retryAfterMs ?? this.#jitter(attempt),
        shouldRetry: (error) => error instanceof CloudflareApiError && error.retryable,
        ...(run.signal !== undefined && { signal: run.signal }),
      })
    } catch (error) {
      // However long it asked to wait: it takes none, and the rest of the run would only make it worse.
      if (error instanceof CloudflareApiError && error.fault.kind === 'rate_limited')
        run.budget.close(clock.now() + BLOCK)
      throw error
    }
  }

  async #once(what: string, request: CloudflareRequest, run: Run, family?: Family): Promise<Envelope> {
    const { budget, signal } = run
    signal?.throwIfAborted()
    if (!budget.take()) {
      const until = budget.closedUntil
      const wait = until === undefined ? undefined : Math.max(0, until - this.#options.clock.now())
      throw failed(what, { kind: wait === undefined ? 'budget' : 'rate_limited' }, false, wait)
    }
    const answer = await this.#send(what, request, signal)
    const envelope = readEnvelope(answer)
    const fault = faultOf(answer.status, envelope)
    if (fault === undefined && envelope !== undefined) return envelope
    const told = this.#clean(fault ?? { kind: 'unreadable', status: answer.status })
    throw this.#failure(what, told, answer, budget, family)
  }

  #failure(
    what: string,
    fault: Fault,
    answer: CloudflareAnswer,
    budget: RequestBudget,
    family: Family | undefined,
  ): CloudflareApiError {
    const now = this.#options.clock.now()
    const wait = fault.kind === 'rate_limited' || fault.kind === 'server' ? waitOf(answer.retryAfter, now) : undefined
    if (wait !== undefined && wait > MAX_WAIT) {
      if (fault.kind === 'rate_limited') budget.close(now + wait)
      return failed(what, fault, false, wait)
    }
    if (fault.kind === 'forbidden' && family !== undefined) {
      const help = `the healer's credential needs '${TOKEN_WRITE[family.kind]}' here; a fresh grant takes up to a minute`
      return new CloudflareApiError(what, fault, help, false)
    }
    return failed(what, fault, isPassing(fault), wait)
  }

  async #send(what: string, request: CloudflareRequest, signal: AbortSignal | undefined): Promise<CloudflareAnswer> {
    const { client, clock, timeoutMs } = this.#options
    let answer: CloudflareAnswer
    try {
      answer = await withTimeLimit(clock, timeoutMs, (own) => client.send({ ...request, signal: own }), signal)
    } catch (error) {
      signal?.throwIfAborted()
      if (error instanceof TimeLimitError) throw failed(what, { kind: 'timeout' }, true)
      if (error instanceof BodyTooLargeError) throw failed(what, { kind: 'unreadable' }, false)
      // Its message isn't told: it is the client's, and may name anything.
      throw failed(what, { kind: 'network' }, true)
    }
    // A client fitted by hand may answer anything.
    const { status, text, retryAfter } = (answer as Partial<CloudflareAnswer> | null | undefined) ?? {}
    const readable = typeof status === 'number' && typeof text === 'string'
    if (readable && (retryAfter === undefined || typeof retryAfter === 'string')) return answer
    throw failed(what, { kind: 'unreadable' }, false)
  }

  /** A server may say back what it was sent. */
  #clean(fault: Fault): Fault {
    if (fault.message === undefined) return fault
    let { message } = fault
    for (const secret of this.#options.secrets()) message = message.replaceAll(secret.reveal(), '[secret]')
    return { ...fault, message }
  }
}

function base({ kind, accountId }: Family): string {
  return kind === 'user' ? '/user/tokens' : `/accounts/${accountId}/tokens`
}

const HELP: { readonly [kind in Fault['kind']]: string } = {
  invalid_token: 'create or roll the token',
  wrong_family: "an account's token belongs under its account, a user's under /user: look at kind and accountId",
  ip_restricted: "the token's condition doesn't allow this address",
  forbidden: 'give the credential the permission that this needs; a fresh one takes up to a minute',
  unauthenticated: 'look at the text of the token',
  cannot_grant: 'whoever owns the healer’s credential may not grant this there',
  refused: 'see what Cloudflare says',
  not_found: 'look at the ids of account and token',
  rate_limited: 'wait: Cloudflare takes 1200 calls in 5 minutes',
  server: 'try again later',
  unreadable: 'try again later; something between here and Cloudflare answered',
  network: 'look at the connection',
  timeout: 'try again later',
  budget: 'raise maxRequests, or give this healer fewer targets',
}

function failed(what: string, fault: Fault, retryable: boolean, retryAfterMs?: number): CloudflareApiError {
  return new CloudflareApiError(what, fault, HELP[fault.kind], retryable, retryAfterMs)
}
