import { abbreviated, TokenwrightError } from '../kernel/errors.ts'
import { MAX_LIVE_VERSIONS } from '../tokens/versions.ts'

/** The codes of the errors that rotations throw. */
export type RotationErrorCode =
  | 'ERR_TOO_MANY_LIVE_VERSIONS'
  | 'ERR_IN_GRACE'
  | 'ERR_NOT_RETRIEVABLE'
  | 'ERR_NO_RECIPIENT'
  | 'ERR_ROTATION_IN_PROGRESS'
  | 'ERR_ROTATION_NOT_FOUND'
  | 'ERR_ROTATION_STATE'
  | 'ERR_WEBHOOK'

/** A rotation would leave more than three versions alive. */
export class TooManyLiveVersionsError extends TokenwrightError<'ERR_TOO_MANY_LIVE_VERSIONS'> {
  readonly id: string

  /**
   * @param service - the token's name
   * @param id - the token's id
   */
  constructor(service: string, id: string) {
    super(
      'ERR_TOO_MANY_LIVE_VERSIONS',
      `'${service}' has ${MAX_LIVE_VERSIONS} live versions, and a rotation would add one`,
      {
        help: "wait for the oldest to end, end it (whenInGrace: 'endOldest'), or rotate with grace 0",
      },
    )
    this.id = id
  }
}

/** A rotation was asked to refuse while an older version is in its grace, and one is. */
export class InGraceError extends TokenwrightError<'ERR_IN_GRACE'> {
  /** Until when, epoch ms. */
  readonly graceUntil: number

  /**
   * @param service - the token's name
   * @param graceUntil - until when the older version verifies
   */
  constructor(service: string, graceUntil: number) {
    super('ERR_IN_GRACE', `an older version of '${service}' verifies until ${new Date(graceUntil).toISOString()}`, {
      help: 'wait until then, or let it be kept',
      retryable: true,
    })
    this.graceUntil = graceUntil
  }
}

/** The token's text isn't kept, so it can't be read back. */
export class NotRetrievableError extends TokenwrightError<'ERR_NOT_RETRIEVABLE'> {
  /** @param service - the token's name */
  constructor(service: string) {
    super('ERR_NOT_RETRIEVABLE', `the token '${service}' is not retrievable: no copy of its text is kept`, {
      help: 'rotate it for a new text; make tokens with retrievable: true where they must be read back',
    })
  }
}

/** A new value would reach nobody: it is made unattended, nothing publishes it, and no sealed copy is kept. */
export class NoRecipientError extends TokenwrightError<'ERR_NO_RECIPIENT'> {
  readonly service: string

  /** @param service - the token's name */
  constructor(service: string) {
    super('ERR_NO_RECIPIENT', `nobody would get the new value of '${service}'`, {
      help: 'register a publish hook for it (rotation: { hooks }), give onRotated, or make the token retrievable',
    })
    this.service = service
  }
}

/** A rotation of this token is under way. */
export class RotationInProgressError extends TokenwrightError<'ERR_ROTATION_IN_PROGRESS'> {
  /** The id of the rotation that is under way; absent when it isn't known. */
  readonly rotation: string | undefined

  /**
   * @param service - the token's name
   * @param rotation - the rotation that is under way
   */
  constructor(service: string, rotation: string | undefined) {
    super('ERR_ROTATION_IN_PROGRESS', `a rotation of '${service}' is under way (${rotation ?? 'unknown'})`, {
      help: 'wait for it, resume or abandon it, or rotate with grace 0',
      retryable: true,
    })
    this.rotation = rotation
  }
}

/** There is no such rotation. */
export class RotationNotFoundError extends TokenwrightError<'ERR_ROTATION_NOT_FOUND'> {
  /** @param id - the id that was asked for */
  constructor(id: string) {
    super('ERR_ROTATION_NOT_FOUND', `there is no rotation '${abbreviated(id)}'`, {
      help: 'see pending() and history(service)',
    })
  }
}

/** The rotation's state doesn't allow this. */
export class RotationStateError extends TokenwrightError<'ERR_ROTATION_STATE'> {
  readonly rotation: string

  /**
   * @param rotation - the rotation's id
   * @param what - what stands in the way
   * @param help - what to do
   */
  constructor(rotation: string, what: string, help: string) {
    super('ERR_ROTATION_STATE', `the rotation ${rotation} ${what}`, { help })
    this.rotation = rotation
  }
}
