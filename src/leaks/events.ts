/** A report of leaked tokens couldn't be dealt with; whoever sent it was told to try again. */
export interface ReportFailedEvent {
  /** What failed: getting the keys, or looking up and ending the tokens. */
  readonly step: 'keys' | 'tokens'
  /** The error's code or name. */
  readonly code: string
  readonly at: number
}

/** The events of this room. Leaks themselves are `security.leaked`. */
export interface LeakEvents {
  'leaks.reportFailed': ReportFailedEvent
}
