import { createCipheriv, createDecipheriv, createHash, randomBytes, scryptSync } from 'node:crypto'
import * as v from 'valibot'
import { VmmError } from '../model/errors'

/**
 * The keys that everything kept is sealed with: 32 random bytes each, named by the beginning of their SHA-256. New
 * things are sealed with the current one; others were imported with the data that they seal.
 */
export interface KeyRing {
  current: string
  /** Keys by their ids. */
  keys: ReadonlyMap<string, Uint8Array>
}

const KEY_BYTES = 32
const ID_DIGITS = 16
const KEYS_MOST = 1000
/** scrypt: 2^16 * 8 * 128 bytes are 64 MiB, about a quarter of a second. (RFC 7914) */
const SCRYPT = { N: 2 ** 16, r: 8, p: 1, maxmem: 256 * 1024 * 1024 }

const StoredRing = v.strictObject({
  current: v.string(),
  keys: v.pipe(
    v.record(v.string(), v.string()),
    v.check((keys) => Object.keys(keys).length <= KEYS_MOST),
  ),
})
const SealedRing = v.strictObject({
  salt: v.string(),
  nonce: v.string(),
  tag: v.string(),
  body: v.pipe(v.string(), v.maxLength(1_000_000)),
})
/** A ring under a passphrase; every field base64. */
export type SealedRing = v.InferOutput<typeof SealedRing>
export const SealedRingSchema = SealedRing

export function newKeyRing(): KeyRing {
  const key = new Uint8Array(randomBytes(KEY_BYTES))
  const id = keyId(key)
  return { current: id, keys: new Map([[id, key]]) }
}

function keyId(key: Uint8Array): string {
  return createHash('sha256').update(key).digest('hex').slice(0, ID_DIGITS)
}

/** All of `ring`, and those of `other` that it lacks; its current key stays the current one. */
export function joinKeyRings(ring: KeyRing, other: KeyRing): KeyRing {
  return { current: ring.current, keys: new Map([...other.keys, ...ring.keys]) }
}

export function keyRingText({ current, keys }: KeyRing): string {
  const texts = [...keys].map(([id, key]) => [id, Buffer.from(key).toString('base64')])
  return JSON.stringify({ current, keys: Object.fromEntries(texts) as Record<string, string> })
}

/** Throws kind `damaged` for what is no key ring. */
export function parseKeyRing(text: string): KeyRing {
  try {
    const { current, keys } = v.parse(StoredRing, JSON.parse(text))
    const ring = new Map(Object.entries(keys).map(([id, key]) => [id, new Uint8Array(Buffer.from(key, 'base64'))]))
    const whole = [...ring].every(([id, key]) => key.byteLength === KEY_BYTES && keyId(key) === id)
    if (whole && ring.has(current)) return { current, keys: ring }
  } catch {
    // told below, without what it held
  }
  throw new VmmError('damaged', 'The keys cannot be read.', { hint: 'Import them from an exported file.' })
}

/** What a passphrase makes of itself, with the salt of one file. */
export interface Wrapping {
  salt: Uint8Array
  key: Uint8Array
}

export function newWrapping(passphrase: string): Wrapping {
  return wrap(passphrase, randomBytes(16))
}

/** The wrapping that `sealed` was made with, if `passphrase` is the right one. */
export function wrappingOf(sealed: SealedRing, passphrase: string): Wrapping {
  return wrap(passphrase, Buffer.from(sealed.salt, 'base64'))
}

function wrap(passphrase: string, salt: Uint8Array): Wrapping {
  return { salt, key: scryptSync(passphrase.normalize('NFKC'), salt, 32, SCRYPT) }
}

export function sealKeyRing(ring: KeyRing, { salt, key }: Wrapping): SealedRing {
  const nonce = randomBytes(12)
  const cipher = createCipheriv('aes-256-gcm', key, nonce)
  const body = Buffer.concat([cipher.update(keyRingText(ring), 'utf8'), cipher.final()])
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64')
  return { salt: base64(salt), nonce: base64(nonce), tag: base64(cipher.getAuthTag()), body: base64(body) }
}

/** Throws kind `denied` for another passphrase, and for a ring that was tampered with. */
export function openKeyRing({ nonce, tag, body }: SealedRing, { key }: Wrapping): KeyRing {
  const bytes = (text: string) => Buffer.from(text, 'base64')
  let text: string
  try {
    const decipher = createDecipheriv('aes-256-gcm', key, bytes(nonce), { authTagLength: 16 })
    decipher.setAuthTag(bytes(tag))
    text = Buffer.concat([decipher.update(bytes(body)), decipher.final()]).toString('utf8')
  } catch {
    throw new VmmError('denied', 'This is not the passphrase, or the file of the keys was changed.', {
      hint: 'Try again; nothing else opens the keys.',
    })
  }
  return parseKeyRing(text)
}
