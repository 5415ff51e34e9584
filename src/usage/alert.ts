import type { Kind } from '../kernel/kind.ts'

/** Whose signed tokens an alert is about; absent where it is about a token with a record. */
export interface AgentSubject {
  /** The agent. The alert's `id` and `service` are then `agent:<name>`: all tokens of an agent count together. */
  readonly agent?: string
}

/** Which signed token an alert is about; absent where it is about a token with a record. */
export interface SignedSubject extends AgentSubject {
  /** The token's own id. */
  readonly jti?: string
}

/** Many failures by one address, with one token, or with the signed tokens of one agent, in a short time. */
export interface FailuresBurstEvent extends SignedSubject {
  readonly at: number
  /** What they have in common. */
  readonly by: 'ip' | 'token'
  /** With `ip`: the address, or the /64 network of IPv6. */
  readonly ip?: string
  /** With `token`: its id. */
  readonly id?: string
  /** With `token`: its name. */
  readonly service?: string
  /** Why the last one was refused. */
  readonly code: string
  /** How many there were at least. */
  readonly failures: number
  /** Within how long, ms. */
  readonly perMs: number
}

/** A token, or an agent by its signed ones, was used from a network (24 bits of IPv4, 48 of IPv6) that it hasn't been used from before. */
export interface NewNetworkUsedEvent extends AgentSubject {
  readonly at: number
  /** The token's id. */
  readonly id: string
  readonly service: string
  readonly network: string
}

/** Somebody presented a token that must not be used. */
export interface ForbiddenUse {
  readonly at: number
  /** The token's id. */
  readonly id: string
  readonly service: string
  /** Which of its versions, as in {@link TokenView.versions}. */
  readonly version: number
  /** The client's address as it was given. */
  readonly ip?: string
  /** The tool that was asked for. */
  readonly tool?: string
  /** Who called, as the host knows it. */
  readonly caller?: string
  /** How often it was presented since the last alert of this kind, this time included. */
  readonly uses: number
}

/** A revoked token, or version of one, was presented. */
export interface RevokedUsedEvent extends ForbiddenUse, SignedSubject {}

/** A canary token was presented: who has it found it where it was planted. */
export interface CanaryUsedEvent extends ForbiddenUse {}

/** A token's calls became many more, or many fewer, than they have been over the last hour. */
export interface RateChangedEvent extends AgentSubject {
  readonly at: number
  /** The token's id. */
  readonly id: string
  /** Its name; absent when it is gone meanwhile. */
  readonly service?: string
  readonly direction: 'rise' | 'drop'
  /** Calls a minute now. */
  readonly calls: number
  /** Calls a minute as a rule. */
  readonly usual: number
}

/** A token's text was found where it shouldn't be. */
export interface LeakedEvent extends SignedSubject {
  readonly at: number
  /** The token's id. */
  readonly id: string
  readonly service: string
  readonly version: number
  /** Who found it, such as `github`. */
  readonly by: string
  /** The sort of place, as the finder calls it, such as `commit`. */
  readonly source?: string
  /** Where, with every token in it blotted out. */
  readonly url?: string
  /** Whether the token would have verified. */
  readonly live: boolean
  /** Whether it was revoked for that. */
  readonly revoked: boolean
}

/** The signals that make alerts, with what each tells. Their events are `security.<signal>`. */
export interface Signals {
  failuresBurst: FailuresBurstEvent
  newNetworkUsed: NewNetworkUsedEvent
  revokedUsed: RevokedUsedEvent
  canaryUsed: CanaryUsedEvent
  rateChanged: RateChangedEvent
  leaked: LeakedEvent
}

/** The name of a signal. */
export type Signal = keyof Signals

/** An alert as it is kept: the signal, and what its event told. */
export type Alert = { [S in Signal]: { readonly signal: S } & Signals[S] }[Signal]

/** The events of the security signals. */
export type SecurityEvents = { [S in Signal as `security.${S}`]: Signals[S] }

/** Every signal. */
export const SIGNALS: readonly Signal[] = [
  'failuresBurst',
  'newNetworkUsed',
  'revokedUsed',
  'canaryUsed',
  'rateChanged',
  'leaked',
]

/** Alerts, kept for a while. */
export const alertKind: Kind<Alert, 'at' | 'signal' | 'token', never> = {
  name: 'alert',
  schema: 1,
  journaled: false,
  unique: {},
  order: {
    at: (alert) => ({ at: alert.at }),
    signal: (alert) => ({ at: alert.at, in: alert.signal }),
    token: (alert) => {
      const jti = 'jti' in alert ? alert.jti : undefined
      return [alert.id, jti].flatMap((about) => (about === undefined ? [] : { at: alert.at, in: about }))
    },
  },
  merge: () => undefined,
}
