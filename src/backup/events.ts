/** An archive was made, and read back if it is a file. */
export interface BackupCreatedEvent {
  /** The archive's id. */
  readonly archive: string
  /** The file; absent when it went to a stream. */
  readonly file?: string
  /** Its size. */
  readonly bytes: number
  /** SHA-256 of its bytes, hex. */
  readonly sha256: string
  /** How many tokens it holds. */
  readonly tokenCount: number
  /** Older archives that were removed, by the rule of retention. */
  readonly removed: readonly string[]
  /** When it was begun, epoch ms. */
  readonly at: number
  /** Who asked for it. */
  readonly actor?: string
  /** Why. */
  readonly reason?: string
}

/** Old archives could not be removed. The new one stands. */
export interface BackupPruneFailedEvent {
  /** The folder. */
  readonly directory: string
  /** The error's code. */
  readonly code: string
  readonly at: number
}

/** An archive was restored into the store, to its end. */
export interface StoreRestoredEvent {
  /** The archive's id. */
  readonly archive: string
  readonly mode: 'merge' | 'missing_only' | 'replace'
  /** Records written, of all kinds. */
  readonly written: number
  /** Records removed, of all kinds. */
  readonly removed: number
  /** Records that were refused: they would have revived what has ended, or another holds their name or digest. */
  readonly refused: number
  /** The archive that was made first, in mode `replace`. */
  readonly before?: string
  readonly at: number
  /** Who did it. */
  readonly actor?: string
  /** Why. */
  readonly reason?: string
}

/** The events of this room. */
export interface BackupEvents {
  'backup.created': BackupCreatedEvent
  'backup.pruneFailed': BackupPruneFailedEvent
  'store.restored': StoreRestoredEvent
}
