import { expect, it } from 'vitest'
import { InvalidInputError } from '../../src/index.ts'
import { setUp } from '../issuing/fixture.ts'

it('an approval that is no text is refused by name, and asks no store', async () => {
  const { tokens } = setUp()
  const { token } = await tokens.generate({ service: 'A' })
  for (const approval of [7, ['apr_1'], {}, null, true]) {
    const answer = tokens.verify(token, { tool: 'x', approval: approval as never })
    await expect(answer, JSON.stringify(approval)).rejects.toThrow(InvalidInputError)
    await expect(tokens.verify(token, { approval: approval as never })).rejects.toThrow(/^ERR_INVALID_INPUT: approval /)
  }
})
