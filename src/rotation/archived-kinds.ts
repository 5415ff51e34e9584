import { type ArchivedKind, archived } from '../backup/archived-kind.ts'
import { tokenKind } from '../tokens/record.ts'
import { batchKind } from './batch-record.ts'
import { rotationKind } from './rotation-record.ts'

/** The kinds of this room that go into archives. */
export const ROTATION_KINDS: readonly ArchivedKind[] = [
  // One that neither waits nor has ended is stalled: it would come back as abandoned.
  archived(rotationKind, { all: ['due', 'ended'], owner: (_id, { token }) => ({ kind: tokenKind, id: token }) }),
  archived(batchKind, { all: ['started'] }),
]
