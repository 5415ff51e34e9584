/** A source of random bytes. `systemRandom()` in a service, `seededRandom()` of `tokenwright/testing` in tests. */
export interface Random {
  /** `count` fresh random bytes; the caller owns the array. */
  bytes(count: number): Uint8Array
  /** A float in [0, 1), for jitter; not for secrets. */
  float(): number
}
