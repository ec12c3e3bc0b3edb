import { createCipheriv, createDecipheriv, createHash, createSecretKey, hkdfSync, randomFillSync } from 'node:crypto'
import type { KeyObject } from 'node:crypto'

export const KEY_BYTES = 32
export const NONCE_BYTES = 12
export const TAG_BYTES = 16
const CIPHER = 'aes-256-gcm'
/** Stands for the master key where nothing is encrypted: what is derived from it only tells files apart. */
const NO_KEY = Buffer.alloc(KEY_BYTES)

/** What is kept beside sealed bytes to open them again. */
export interface Seal {
  /** 96 random bits. */
  nonce: Uint8Array
  tag: Uint8Array
}

/**
 * The key of one store (an overlay, a disk), derived from the master key by HKDF-SHA256 (RFC 5869). Without a master
 * key nothing is encrypted, by the same code.
 */
export class StoreKey {
  private constructor(
    private readonly secret: Uint8Array,
    /** Whether there is a master key. */
    readonly sealed: boolean,
  ) {}

  /** `master` has 32 bytes, or is null for a store that is not encrypted. */
  static of(master: Uint8Array | null, storeId: string): StoreKey {
    if (master !== null && master.byteLength !== KEY_BYTES) throw new RangeError('A master key has 32 bytes.')
    return new StoreKey(derive(master ?? NO_KEY, `vivarium store ${storeId}`), master !== null)
  }

  /** Nothing sealed for one file opens as another's. */
  forFile(fileId: string): FileKey {
    return new FileKey(derive(this.secret, `vivarium file ${fileId}`), fileId, this.sealed)
  }
}

/** Seals and opens the bytes of one file: AES-256-GCM, or a mere checksum where there is no master key. */
export class FileKey {
  readonly #key: KeyObject
  /** Tells whether a file was made with this key; says nothing about the key. */
  readonly check: Uint8Array

  constructor(
    secret: Uint8Array,
    readonly fileId: string,
    readonly sealed: boolean,
  ) {
    this.#key = createSecretKey(secret)
    this.check = derive(secret, 'vivarium key check').subarray(0, TAG_BYTES)
  }

  /** Writes the sealed bytes, as many as there are plain ones, to the start of `into`. */
  seal(plain: Uint8Array, bound: Uint8Array, into: Uint8Array): Seal {
    const nonce = randomNonce()
    if (!this.sealed) {
      into.set(plain)
      return { nonce, tag: checksum(nonce, bound, plain) }
    }
    const cipher = createCipheriv(CIPHER, this.#key, nonce)
    cipher.setAAD(bound)
    into.set(cipher.update(plain))
    cipher.final()
    return { nonce, tag: cipher.getAuthTag() }
  }

  /** The plain bytes, or null when these are not the ones that were sealed with the same `bound`. */
  open(sealed: Uint8Array, { nonce, tag }: Seal, bound: Uint8Array): Uint8Array | null {
    if (!this.sealed) return checksum(nonce, bound, sealed).equals(tag) ? sealed : null
    const cipher = createDecipheriv(CIPHER, this.#key, nonce, { authTagLength: TAG_BYTES })
    cipher.setAAD(bound)
    cipher.setAuthTag(tag)
    const plain = cipher.update(sealed)
    try {
      cipher.final()
      return plain
    } catch {
      return null
    }
  }
}

function derive(secret: Uint8Array, purpose: string): Uint8Array {
  return new Uint8Array(hkdfSync('sha256', secret, '', purpose, KEY_BYTES))
}

function checksum(nonce: Uint8Array, bound: Uint8Array, data: Uint8Array): Buffer {
  return createHash('sha256').update(nonce).update(bound).update(data).digest().subarray(0, TAG_BYTES)
}

const NONCES = Buffer.alloc(NONCE_BYTES * 1024)
let nextNonce = NONCES.length

/** Fresh random bytes; many are fetched at a time. */
function randomNonce(): Uint8Array {
  if (nextNonce === NONCES.length) {
    randomFillSync(NONCES)
    nextNonce = 0
  }
  const nonce = Uint8Array.prototype.slice.call(NONCES, nextNonce, nextNonce + NONCE_BYTES)
  nextNonce += NONCE_BYTES
  return nonce
}
