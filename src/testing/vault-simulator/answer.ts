import { randomId } from './identifiers.ts'

/** A request as the simulator's routes see it. */
export interface SimulatedRequest {
  readonly method: string
  /** Below `/v1/`, without a query. */
  readonly path: string
  readonly query: URLSearchParams
  /** By lower-case name. */
  readonly headers: { readonly [name: string]: string }
  readonly body: { readonly [name: string]: unknown }
}

/** What is answered: a status, headers, and a body that is JSON, or a text, or nothing. */
export interface SimulatedAnswer {
  readonly status: number
  readonly headers?: { readonly [name: string]: string }
  readonly body?: unknown
}

/** An answer with errors, in the server's own words. */
export class Refusal extends Error {
  readonly status: number
  readonly errors: readonly string[]
  readonly headers: { readonly [name: string]: string }

  constructor(status: number, errors: readonly string[], headers: { readonly [name: string]: string } = {}) {
    super(errors.join('; '))
    this.status = status
    this.errors = errors
    this.headers = headers
  }
}

/** Several parts of the server put their errors into a list of their own. */
export function listed(text: string): string {
  return `1 error occurred:\n\t* ${text}\n\n`
}

/** The refusal of an unknown token, word for word. */
export function denied(): Refusal {
  return new Refusal(403, ['permission denied'])
}

/** The refusal of a policy, word for word. */
export function deniedByPolicy(): Refusal {
  return new Refusal(403, [listed('permission denied')])
}

/** The parts of an envelope that aren't empty. */
export interface EnvelopeParts {
  readonly data?: unknown
  readonly auth?: unknown
  readonly warnings?: readonly string[]
  readonly leaseId?: string
  readonly leaseSeconds?: number
  readonly renewable?: boolean
  readonly wrapInfo?: unknown
}

/** An answer in the envelope that all of them come in. */
export function envelope(parts: EnvelopeParts = {}): SimulatedAnswer {
  const { data = null, auth = null, warnings = [], leaseId = '', leaseSeconds = 0, renewable = false } = parts
  return {
    status: 200,
    body: {
      request_id: randomId(),
      lease_id: leaseId,
      renewable,
      lease_duration: leaseSeconds,
      data,
      wrap_info: parts.wrapInfo ?? null,
      warnings: warnings.length > 0 ? warnings : null,
      auth,
    },
  }
}

/** Done, and nothing to tell. */
export const DONE: SimulatedAnswer = { status: 204 }
