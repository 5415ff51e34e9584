import { TokenExistsError } from '../issuing/errors.ts'
import { proofOf } from '../issuing/new-token.ts'
import { furtherKeys, versionOf } from '../issuing/proof.ts'
import { InvalidInputError } from '../kernel/errors.ts'
import type { Foundation } from '../stores/foundation.ts'
import { checkForeignText, matchesFormat, previewOf } from '../tokens/format.ts'
import type { KnownFormats } from '../tokens/known-formats.ts'
import type { TokenRecord, TokenVersion } from '../tokens/record.ts'
import type { Version } from '../tokens/versions.ts'

/** What a version holds beside its place among the others. */
export type FreshVersion = Omit<TokenVersion, keyof Version>

/** Draws new texts for tokens, and takes texts that are brought. */
export class NewValues {
  readonly #base: Pick<Foundation<object>, 'keys' | 'random' | 'clock'>
  readonly #formats: KnownFormats

  /**
   * @param base - keys, randomness and time
   * @param formats - the listed forms
   */
  constructor(base: Pick<Foundation<object>, 'keys' | 'random' | 'clock'>, formats: KnownFormats) {
    this.#base = base
    this.#formats = formats
  }

  /**
   * A new text of a token's form.
   *
   * @throws FormatClashError when a prefix that was listed since would refuse it unseen
   */
  draw(token: TokenRecord): string {
    this.#formats.refuseClash(token.format)
    return this.#formats.draw(token.format, this.#base.random)
  }

  /**
   * Checks a text that the host brings.
   *
   * @param force - takes one of another form too, as an import would
   * @throws InvalidInputError, FormatClashError; TokenExistsError when it is or was a version of this token
   */
  take(token: TokenRecord, text: unknown, force: boolean): string {
    this.#formats.refuseClash(token.format)
    if (force) checkForeignText(text, false)
    else if (typeof text !== 'string' || !matchesFormat(token.format, text)) {
      throw new InvalidInputError(
        'token',
        "doesn't have the form of this token (prefix, length, symbols, checksum)",
        'leave it out to have one drawn, or set force',
      )
    }
    this.#formats.refuseText(text)
    const { keys, clock } = this.#base
    // Under whichever key: a text that was a version once would answer for two of them.
    const candidates = [keys.digest(text), ...furtherKeys(keys, text, clock.now())]
    if (versionOf(token, candidates) !== undefined) throw new TokenExistsError(token.id, false)
    return text
  }

  /** What version `n` of a token keeps of its text. */
  fresh(token: TokenRecord, text: string, n: number, datedAt: number | undefined): FreshVersion {
    const { keys, random } = this.#base
    const proof = proofOf(text, token, n, keys, random)
    // A text of another form shows no more than its first characters.
    const own = matchesFormat(token.format, text)
    const preview = own ? proof.preview : previewOf({ ...token.format, prefix: '' }, text)
    return datedAt === undefined ? { ...proof, preview } : { ...proof, preview, datedAt }
  }
}
