import type { MaybePromise } from '../kernel/kind.ts'
import type { TokenView } from '../tokens/token-view.ts'

/** Whose a text is, as the host's records say. */
export interface FoundToken {
  readonly token: TokenView
  /** Which of its versions. */
  readonly version: number
  /** Whether the text would prove the token now. */
  readonly live: boolean
}

/** Says whose a text is, by its digest; the registry does. */
export interface TokenLookup {
  /** The token that a text is or was a version of. */
  identify(text: string): MaybePromise<FoundToken | undefined>
}

/** Whose a signed text is, as the signer says. */
export interface FoundSigned {
  /** Its facts are in `signed`; absent when it says that it is ours, and isn't proved. */
  readonly token?: TokenView | undefined
  /** Whether the text would verify now. */
  readonly live: boolean
}

/** Says whose a text of signed form is, and ends it; the signer does. */
export interface SignedLookup {
  /** `undefined` for a text that isn't of this issuer. */
  identify(text: string): MaybePromise<FoundSigned | undefined>
  /** Ends one token. */
  revoke(target: { readonly id: string }, by: { readonly actor: string; readonly reason: string }): Promise<unknown>
}

/** Ends tokens; the registry does. */
export interface TokenRevoker {
  /** Ends a token with all its versions, or one version of it. */
  revoke(
    target: { readonly id: string },
    options: { readonly actor: string; readonly reason: string; readonly version?: number },
  ): Promise<unknown>
}
