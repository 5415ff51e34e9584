import { InvalidInputError, TokenwrightError } from '../kernel/errors.ts'
import type { Random } from '../kernel/random.ts'
import { alphabetOf } from './alphabet.ts'
import {
  checksumMatches,
  checksumWidth,
  type FormatInput,
  generateText,
  parseFormat,
  type TokenFormat,
} from './format.ts'

/** A listed prefix that one text in fewer than this many would begin with by chance is too likely to be drawn around. */
const RARE = 10_000

/** A token or format that contradicts a prefix listed in `formats`: it would be refused unseen. */
export class FormatClashError extends TokenwrightError<'ERR_FORMAT_CLASH'> {
  /** The listed prefix. */
  readonly prefix: string

  /** @param prefix - the listed prefix */
  constructor(prefix: string, what: string) {
    super('ERR_FORMAT_CLASH', `${what} clashes with the listed prefix '${prefix}'`, {
      help: `use the listed form, another prefix, or take '${prefix}' out of formats`,
    })
    this.prefix = prefix
  }
}

/**
 * The prefixes all of whose tokens carry a checksum. A presented token with such a prefix and a wrong checksum is
 * refused without a look-up; any other text costs one look-up.
 */
export class KnownFormats {
  readonly #formats: readonly TokenFormat[]

  /** The listed forms. */
  get listed(): readonly TokenFormat[] {
    return this.#formats
  }

  /**
   * @param formats - forms with a non-empty prefix, each with a checksum
   * @throws InvalidInputError when one lacks a prefix or can't carry a checksum, or one prefix begins another
   */
  constructor(formats: readonly FormatInput[] = []) {
    this.#formats = formats.map((input, i) => {
      const format = parseFormat({ checksum: true, ...input })
      if (format.prefix === '' || !format.checksum) {
        throw new InvalidInputError(
          `formats[${i}]`,
          'needs a prefix and a checksum',
          "write for example { prefix: 'sk_' }",
        )
      }
      return format
    })
    for (const a of this.#formats) {
      for (const b of this.#formats) {
        if (a !== b && a.prefix.startsWith(b.prefix)) {
          throw new InvalidInputError(
            'formats',
            `lists '${b.prefix}', which begins '${a.prefix}'`,
            'list prefixes that can be told apart',
          )
        }
      }
    }
  }

  /** False when the text has a listed prefix but not the checksum that goes with it. */
  accepts(text: string): boolean {
    const formats = this.#formats
    for (let i = 0; i < formats.length; i++) {
      const format = formats[i] as TokenFormat
      if (text.startsWith(format.prefix)) return checksumMatches(format, text)
    }
    return true
  }

  /** A fresh text of a format without clash; one that begins with a listed prefix by chance is drawn anew. */
  draw(format: TokenFormat, random: Random): string {
    for (;;) {
      const text = generateText(format, random)
      if (this.accepts(text)) return text
    }
  }

  /**
   * Refuses a format whose tokens {@link accepts} would refuse, all of them or so many that {@link draw} would be at a loss.
   *
   * @throws FormatClashError
   */
  refuseClash(format: TokenFormat): void {
    for (const listed of this.#formats) {
      if (format.prefix.startsWith(listed.prefix)) {
        if (!sameLayout(format, listed))
          throw new FormatClashError(listed.prefix, `the format with prefix '${format.prefix}'`)
      } else if (listed.prefix.startsWith(format.prefix) && likely(listed.prefix.slice(format.prefix.length), format)) {
        throw new FormatClashError(
          listed.prefix,
          `the format with prefix '${format.prefix}', which may draw that prefix by chance,`,
        )
      }
    }
  }

  /**
   * Refuses an imported text that {@link accepts} would refuse.
   *
   * @throws FormatClashError
   */
  refuseText(text: string): void {
    for (const listed of this.#formats) {
      if (text.startsWith(listed.prefix) && !checksumMatches(listed, text))
        throw new FormatClashError(listed.prefix, 'the imported token')
    }
  }
}

function sameLayout(a: TokenFormat, b: TokenFormat): boolean {
  return (
    a.prefix === b.prefix &&
    a.length === b.length &&
    a.checksum &&
    (a.type === 'github') === (b.type === 'github') &&
    alphabetOf(a.charset) === alphabetOf(b.charset)
  )
}

/** Whether a text of this format may well begin with these characters, after its prefix. */
function likely(text: string, format: TokenFormat): boolean {
  const alphabet = alphabetOf(format.charset)
  if (alphabet.length ** text.length >= RARE) return false
  const drawn = format.checksum ? format.length - checksumWidth(alphabet) : format.length
  return text.length <= drawn && [...text].every((symbol) => alphabet.includes(symbol))
}
