import { format, inspect } from 'node:util'
import { serialize } from 'node:v8'
import { describe, expect, it } from 'vitest'
import { InvalidInputError } from '../../src/kernel/errors.ts'
import { Secret } from '../../src/kernel/secret.ts'

const CANARY = 'sk_canary_8f2b'

describe('Secret', () => {
  const secret = new Secret(CANARY)

  it('gives its text on request only', () => {
    expect(secret.reveal()).toBe(CANARY)
  })

  it('shows itself nowhere', () => {
    const shown = [
      String(secret),
      `${secret}`,
      secret.toString(),
      JSON.stringify({ secret }),
      JSON.stringify(secret),
      inspect(secret),
      inspect({ a: [secret] }, { showHidden: true, depth: 9, customInspect: false }),
      inspect({ deep: { deep: { deep: secret } } }),
      format('%s %o %O %j', secret, secret, secret, secret),
      String([secret]),
      `${Object.entries(secret)}`,
      inspect(structuredClone(secret)),
      inspect(new Error('x', { cause: secret })),
      serialize(secret).toString('latin1'),
      String(Object.getOwnPropertyNames(secret)),
      JSON.stringify({ ...secret }),
      JSON.stringify(Object.assign({}, secret)),
    ]
    for (const text of shown) expect(text).not.toContain(CANARY)
    expect(inspect({ a: secret })).toBe('{ a: [secret] }')
    expect(JSON.stringify({ a: secret })).toBe('{"a":"[secret]"}')
    expect(`${secret}`).toBe('[secret]')
    expect(Number(secret)).toBeNaN()
  })

  it('refuses what is not a string, without quoting it', () => {
    for (const value of [undefined, null, 5, Buffer.from('x'), { text: CANARY }]) {
      const call = () => new Secret(value as unknown as string)
      expect(call).toThrow(InvalidInputError)
      expect(call).not.toThrow(CANARY)
    }
  })

  it("can't be changed", () => {
    expect(Object.isFrozen(secret)).toBe(true)
  })
})
