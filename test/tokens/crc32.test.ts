import { crc32 as crc32OfZlib } from 'node:zlib'
import fc from 'fast-check'
import { expect, it } from 'vitest'
import { crc32 } from '../../src/tokens/crc32.ts'

it('has the check value of its catalogue', () => {
  expect(crc32(Buffer.from('123456789'), 0, 9)).toBe(0xcbf43926)
})

it('is the one of zlib, over any range', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.nat(600), (bytes, from) => {
      const start = Math.min(from, bytes.length)
      expect(crc32(bytes, start, bytes.length)).toBe(crc32OfZlib(bytes.subarray(start)))
    }),
  )
})
