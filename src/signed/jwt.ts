import { createPublicKey, generateKeyPairSync, hash } from 'node:crypto'
import type { CryptoKey } from 'jose'
import { isJsonObject, type JsonObject } from '../kernel/bytes.ts'
import type { Random } from '../kernel/random.ts'
import { jwtHeader } from '../tokens/signed-form.ts'
import type { JwtAlgorithm } from './signing-key.ts'

/** A key as jose takes it. */
export type JoseKey = CryptoKey | Uint8Array

let library: typeof import('jose') | undefined

/** The library, loaded when a JWT is minted or verified for the first time. Asking the module loader each time costs a fifth of a proof. */
async function jose(): Promise<typeof import('jose')> {
  library ??= await import('jose')
  return library
}

/** A fresh key pair, or a secret for HS256. */
export interface KeyMaterial {
  readonly kid: string
  /** The public part; none for HS256. */
  readonly publicJwk?: JsonObject
  /** The private part, or the secret. */
  readonly privateJwk: JsonObject
}

/**
 * Makes a key. A pair is named by the thumbprint of its public part (RFC 7638), a secret by random characters.
 *
 * @param random - where a secret comes from; pairs are made by the system's own generator
 */
export function generateKey(algorithm: JwtAlgorithm, random: Random): KeyMaterial {
  if (algorithm === 'HS256') {
    const k = Buffer.from(random.bytes(32)).toString('base64url')
    return { kid: `hs-${Buffer.from(random.bytes(12)).toString('base64url')}`, privateJwk: { kty: 'oct', k } }
  }
  const { privateKey } =
    algorithm === 'EdDSA' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JsonObject
  const privateJwk = privateKey.export({ format: 'jwk' }) as JsonObject
  return { kid: thumbprint(publicJwk), publicJwk, privateJwk }
}

/** The thumbprint of a public key (RFC 7638, RFC 8037): SHA-256 of its required members in order, base64url. */
export function thumbprint({ crv, kty, x, y }: JsonObject): string {
  return hash('sha256', JSON.stringify(y === undefined ? { crv, kty, x } : { crv, kty, x, y }), 'base64url')
}

/** A public key as the JWKS lists it (RFC 7517). */
export function publicEntry(jwk: JsonObject, algorithm: JwtAlgorithm, kid: string): JsonObject {
  const { crv, kty, x, y } = jwk
  return { kty, crv, x, ...(y !== undefined && { y }), kid, alg: algorithm, use: 'sig' } as JsonObject
}

/**
 * The first part of every JWT that a key signs. Ours differ in nothing but the key, so the whole part names it: no algorithm,
 * key, address or extension is ever taken from a header.
 */
export function headerOf(algorithm: JwtAlgorithm, kid: string): string {
  return Buffer.from(jwtHeader(algorithm, kid)).toString('base64url')
}

/** A key made ready for jose. */
export async function importKey(jwk: JsonObject, algorithm: JwtAlgorithm): Promise<JoseKey> {
  return (await jose()).importJWK({ ...jwk } as { kty: string }, algorithm)
}

/** Signs a payload. */
export async function signJwt(payload: string, key: JoseKey, algorithm: JwtAlgorithm, kid: string): Promise<string> {
  const { CompactSign } = await jose()
  return new CompactSign(Buffer.from(payload, 'utf8'))
    .setProtectedHeader({ alg: algorithm, typ: 'at+jwt', kid })
    .sign(key)
}

/**
 * Proves a JWT under one key and one algorithm, both ours.
 *
 * @returns its payload; `undefined` when it isn't signed by that key
 */
export async function openJwt(text: string, key: JoseKey, algorithm: JwtAlgorithm): Promise<string | undefined> {
  const { compactVerify } = library ?? (await jose())
  try {
    const { payload } = await compactVerify(text, key, { algorithms: [algorithm] })
    return Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength).toString('utf8')
  } catch {
    // Whatever is wrong with it, it proves nothing; what jose says of it may hold a part of the text.
    return undefined
  }
}

/** Parses the private part of a key, as it was sealed. */
export function parseJwk(text: string): JsonObject {
  const jwk: unknown = JSON.parse(text)
  if (!isJsonObject(jwk)) throw new TypeError('a sealed key holds no JWK')
  return jwk as JsonObject
}

/** Whether the last part is spelt in the one way in which base64url spells it: decoders pass over stray bits. */
export function isCanonical(text: string): boolean {
  const signature = text.slice(text.lastIndexOf('.') + 1)
  return Buffer.from(signature, 'base64url').toString('base64url') === signature
}
