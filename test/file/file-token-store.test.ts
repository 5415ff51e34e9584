import { describe, expect, it } from 'vitest'
import { FileTokenStore } from '../../src/file/file-token-store.ts'
import { createClock } from '../../src/kernel/clock.ts'
import { tokenStoreSuite } from '../../src/testing/token-store-suite.ts'
import { testFolder } from './folder.ts'

for (const crossProcessStaleness of [10, 0]) {
  describe(`crossProcessStaleness ${crossProcessStaleness}`, () => {
    tokenStoreSuite(
      async () => {
        const { path, remove } = testFolder()
        let offset = 0
        const clock = createClock({ wall: () => Date.now() + offset, monotonic: () => performance.now() + offset })
        const options = { clock, crossProcessStaleness }
        let store = await FileTokenStore.open(path, options)
        return {
          store,
          reopen: async () => {
            await store.close()
            store = await FileTokenStore.open(path, options)
            return store
          },
          another: () => FileTokenStore.open(path, options),
          advance: (ms) => {
            offset += ms
          },
          release: async () => {
            await store.close()
            remove()
          },
        }
      },
      { describe, it, expect },
    )
  })
}
