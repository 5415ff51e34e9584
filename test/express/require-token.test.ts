import express from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { requireToken } from '../../src/express/index.ts'
import { middlewareSuite } from '../http/middleware-suite.ts'
import { StubTokens } from '../http/stub-tokens.ts'
import { serveWith } from './serve.ts'

middlewareSuite('Express 5', serveWith(express))
middlewareSuite('Express 4', serveWith(express4))

describe('requireToken for Express', () => {
  it('checks its options when it is made', () => {
    const tokens = new StubTokens()
    expect(() => requireToken(tokens, { scope: 'x' } as never)).toThrow(/unknown field 'scope'.*onDenied/)
    expect(() => requireToken(tokens, { onDenied: 'x' } as never)).toThrow(
      expect.objectContaining({ field: 'onDenied' }),
    )
    expect(() => requireToken({} as never)).toThrow(expect.objectContaining({ field: 'tokens' }))
  })
})
