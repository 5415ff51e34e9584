import { InvalidInputError } from './errors.ts'

const REDACTED = '[secret]'

/**
 * A text that doesn't show itself. Printed, logged, inspected, joined to a string or put into JSON it gives `[secret]`;
 * `structuredClone` and `Object.entries` find nothing in it. Only {@link Secret.reveal} gives the text.
 *
 * This guards against carelessness, not against code that runs in the same process; the text stays in memory until it
 * is collected.
 *
 * @example
 * ```ts
 * const password = new Secret('swordfish')
 * console.log({ password, text: `${password}` }) // { password: [secret], text: '[secret]' }
 * login(password.reveal())
 * ```
 */
export class Secret {
  readonly #text: string

  /**
   * @param text - what to keep
   * @throws InvalidInputError when it isn't a string
   */
  constructor(text: string) {
    if (typeof text !== 'string') throw new InvalidInputError('text', 'is not a string', 'give the secret as a string')
    this.#text = text
    Object.freeze(this)
  }

  /** The text itself. Hand it to what needs it, and keep it nowhere else. */
  reveal(): string {
    return this.#text
  }

  /** Always `[secret]`. */
  toString(): string {
    return REDACTED
  }

  /** Always `[secret]`. */
  toJSON(): string {
    return REDACTED
  }

  /** Always `[secret]`, also where a number is asked for. */
  [Symbol.toPrimitive](): string {
    return REDACTED
  }

  /** What `console.log` and `util.inspect` show: always `[secret]`. */
  [Symbol.for('nodejs.util.inspect.custom')](): string {
    return REDACTED
  }
}
