/** CRC-32 of each byte (ISO-HDLC: polynomial 0xEDB88320, reflected), as GitHub's tokens use it. */
export const CRC32_TABLE: Readonly<Int32Array> = Int32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = (value & 1) === 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1
  return value
})

/**
 * CRC-32 of a range of bytes, from 0 to 2^32-1. A token has some sixty: a call of zlib's costs more than the sum itself.
 *
 * @param bytes - where they are
 * @param from - the first one
 * @param to - behind the last one
 */
export function crc32(bytes: Uint8Array, from: number, to: number): number {
  let sum = -1
  for (let i = from; i < to; i++) sum = (CRC32_TABLE[(sum ^ (bytes[i] as number)) & 0xff] as number) ^ (sum >>> 8)
  return ~sum >>> 0
}
