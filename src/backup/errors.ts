import { TokenwrightError } from '../kernel/errors.ts'

/** The codes of the errors about archives. */
export type ArchiveErrorCode =
  | 'ERR_ARCHIVE_FOREIGN'
  | 'ERR_ARCHIVE_TRUNCATED'
  | 'ERR_ARCHIVE_CORRUPT'
  | 'ERR_ARCHIVE_KEY'
  | 'ERR_ARCHIVE_NEWER'
  | 'ERR_ARCHIVE_IO'

/** An archive that can't be used. Nothing of it was written into the store, unless the message says so. */
export class ArchiveError extends TokenwrightError<ArchiveErrorCode> {}

/** It is something else than an archive. */
export class ArchiveForeignError extends ArchiveError {
  constructor() {
    super('ERR_ARCHIVE_FOREIGN', 'this is no archive of tokenwright', {
      help: 'give a file that backups.create() made',
    })
  }
}

/** The archive ends too early: it was cut off, or is still being copied. */
export class ArchiveTruncatedError extends ArchiveError {
  constructor() {
    super('ERR_ARCHIVE_TRUNCATED', 'the archive ends too early', { help: 'copy it again from where it is whole' })
  }
}

/** The archive isn't what was written: changed, put together of parts, or damaged. */
export class ArchiveCorruptError extends ArchiveError {
  /** @param what - where it shows */
  constructor(what: string) {
    super('ERR_ARCHIVE_CORRUPT', `the archive was changed or is damaged: ${what}`, { help: 'take another copy of it' })
  }
}

/** The key or the passphrase at hand doesn't open the archive. */
export class ArchiveKeyError extends ArchiveError {
  /** The key that the archive was made under; `undefined` when it is a passphrase. */
  readonly keyId: string | undefined

  /**
   * @param what - what doesn't fit
   * @param help - what to do
   * @param keyId - the key that the archive was made under
   */
  constructor(what: string, help: string, keyId?: string) {
    super('ERR_ARCHIVE_KEY', what, { help })
    this.keyId = keyId
  }
}

/** The archive was made by a newer version, or holds what this one doesn't know. */
export class ArchiveNewerError extends ArchiveError {
  /** @param what - what is ahead of this version */
  constructor(what: string) {
    super('ERR_ARCHIVE_NEWER', what, {
      help: 'restore it with the version of tokenwright that made it, or a later one',
    })
  }
}

/** The source of an archive can't be read, or its destination not written. */
export class ArchiveIoError extends ArchiveError {
  /**
   * @param what - what failed
   * @param cause - the system's or the stream's error
   */
  constructor(what: string, cause: unknown) {
    super('ERR_ARCHIVE_IO', what, { help: 'look at the path, its permissions, or the stream', retryable: true, cause })
  }
}

/** The process of a `BackupWorker` failed: its module, or its memory. */
export class BackupWorkerError extends TokenwrightError<'ERR_BACKUP_WORKER'> {
  /**
   * @param what - what failed
   * @param cause - the error of the process
   */
  constructor(what: string, cause?: unknown) {
    const help =
      'see the cause; let the module open the store in its default export, and give memoryMb if that was too little'
    super('ERR_BACKUP_WORKER', what, { help, cause })
  }
}
