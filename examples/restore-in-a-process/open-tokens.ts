// What the process opens: the same store, with the same keys.
import { Tokenwright } from 'tokenwright'
import { FileTokenStore } from 'tokenwright/file'

export default async (): Promise<Tokenwright> => {
  const { TOKEN_STORE = '', TOKEN_KEYS = '' } = process.env
  return new Tokenwright({ store: await FileTokenStore.open(TOKEN_STORE), keys: TOKEN_KEYS })
}
