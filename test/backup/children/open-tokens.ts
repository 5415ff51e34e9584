// Opens the store that a test names in the environment, as a host's module does.
import { FileTokenStore } from '../../../src/file/file-token-store.ts'
import { Tokenwright } from '../../../src/index.ts'

export default async (): Promise<Tokenwright> => {
  const { TEST_STORE: path = '', TEST_KEYS: keys = '' } = process.env
  return new Tokenwright({ store: await FileTokenStore.open(path), keys })
}
