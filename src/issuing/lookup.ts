import { abbreviated, InvalidInputError } from '../kernel/errors.ts'
import type { Stored } from '../kernel/kind.ts'
import type { TokenStore } from '../stores/token-store.ts'
import { type TokenRecord, tokenKind } from '../tokens/record.ts'
import { TokenNotFoundError } from './errors.ts'

/** Which token: by its name, which finds the one that holds it now, or by its id, which finds ended ones too. */
export type TokenRef = string | { readonly id: string }

/**
 * Reads one token.
 *
 * @returns `undefined` when there is none
 * @throws InvalidInputError when the reference is neither a name nor `{ id }`
 */
export async function readToken(store: TokenStore, ref: TokenRef): Promise<Stored<TokenRecord> | undefined> {
  if (typeof ref === 'string') return store.find(tokenKind, 'service', [ref])
  if (typeof ref !== 'object' || ref === null || typeof ref.id !== 'string') {
    throw new InvalidInputError('service', 'must be a name, or { id }', "write for example 'MY_API'")
  }
  return store.get(tokenKind, ref.id)
}

/**
 * Reads one token that must be there.
 *
 * @throws TokenNotFoundError when it isn't
 */
export async function requireRecord(store: TokenStore, ref: TokenRef): Promise<Stored<TokenRecord>> {
  const found = await readToken(store, ref)
  if (found !== undefined) return found
  throw new TokenNotFoundError(
    typeof ref === 'string' ? `of the service '${abbreviated(ref)}'` : `with the id '${abbreviated(ref.id)}'`,
  )
}
