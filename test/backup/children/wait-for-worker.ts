// A service that waits for its BackupWorker, whose process prints its id and never ends by itself.
import { BackupWorker } from '../../../src/index.ts'

await new BackupWorker({ module: new URL('./endless-host.ts', import.meta.url) }).create()
