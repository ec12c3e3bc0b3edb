import { open, readFile, rename, rm, writeFile } from 'node:fs/promises'
import path from 'node:path'
import * as v from 'valibot'
import type { CheckedArgs, KeysView } from '../contract'
import { errorCode, VmmError } from '../../vmm/model/errors'
import {
  joinKeyRings,
  keyRingText,
  newKeyRing,
  newWrapping,
  openKeyRing,
  parseKeyRing,
  SealedRingSchema,
  sealKeyRing,
  wrappingOf,
  type KeyRing,
  type Wrapping,
} from '../../vmm/sealed/key-ring'
import type { Broadcast } from './broadcast'
import type { Journal } from './journal'

/** Where the system keeps small secrets for a person; only a desktop shell has one. */
export interface Keychain {
  readonly name: string
  /** Why it cannot be used, with the next step; '' when it can. */
  trouble(): Promise<string>
  protect(text: string): Promise<Uint8Array>
  reveal(bytes: Uint8Array): Promise<string>
}

const base64 = v.pipe(v.string(), v.maxLength(1_000_000))
const StoredKeys = v.variant('protection', [
  v.strictObject({ version: v.literal(1), protection: v.literal('file'), ring: base64 }),
  v.strictObject({ version: v.literal(1), protection: v.literal('keychain'), ring: base64 }),
  v.strictObject({ version: v.literal(1), protection: v.literal('passphrase'), ring: SealedRingSchema }),
])
type StoredKeys = v.InferOutput<typeof StoredKeys>

const ExportedKeys = v.strictObject({ vivariumKeys: v.literal(1), ring: SealedRingSchema })
/** More than any file of keys has, bytes. */
const FILE_MOST = 4 * 1024 * 1024

const PROTECTS = [
  'What guests change in copy-on-write shares, with the names of the files, of domains made while sealing is on.',
  'The registry of such domains, and its base hives.',
  'Disks of domains made while sealing is on for disks, too.',
]
const LEAVES = [
  'Disks of other domains, and the memory of all that are saved or in a snapshot.',
  'Folders of the host that are shared: they stay as they are, and so do changes that are applied or written directly.',
  'Images, exported disks and appliances, captures of network traffic, the log, and the names of domains and shares.',
  'The memory of running guests and of Vivarium itself, and what the host swaps out.',
  'An older copy of the whole data folder that is put back as a whole: it opens as it was then.',
]

interface KeysParts {
  /** The data folder. */
  folder: string
  keychain: Keychain | null
  broadcast: Broadcast
  journal: Journal
}

/** The keys that seal what is kept, and how they themselves are guarded. */
export class KeyService {
  #stored: StoredKeys | null = null
  #ring: KeyRing | null = null
  /** Of the passphrase, where that guards the keys and was given. */
  #wrapping: Wrapping | null = null
  /** Why there is no keychain to use; '' when there is one. */
  #trouble = 'There is no keychain without a desktop window.'
  /** Is done with keys that were locked, before anybody else has them. Throws nothing. */
  beforeUnlock: (key: (id: string) => Uint8Array | null) => Promise<void> = () => Promise.resolve()
  /** Called when keys are there that were not before. */
  onUnlock: () => void = () => undefined

  constructor(private readonly parts: KeysParts) {}

  /** Reads the keys, or makes the first one: guarded by the keychain, or by nothing but the folder where there is none. */
  async load(): Promise<void> {
    if (this.parts.keychain) this.#trouble = await this.parts.keychain.trouble()
    this.#stored = await this.#read()
    if (this.#stored === null) {
      await this.#guard(newKeyRing(), this.#trouble === '' ? 'keychain' : 'file')
    } else if (this.#stored.protection === 'file') {
      this.#ring = parseKeyRing(Buffer.from(this.#stored.ring, 'base64').toString('utf8'))
    } else if (this.#stored.protection === 'keychain' && this.#trouble === '') {
      this.#ring = await this.#reveal(this.#stored.ring)
    }
  }

  /** Id of the key that new things are sealed with. */
  get current(): string {
    return this.#open().current
  }

  /** The key of that id, or null for ''. Throws kind `denied` while the keys are locked, `not-found` for one that is not there. */
  key(id: string): Uint8Array | null {
    if (id === '') return null
    const key = this.#open().keys.get(id)
    if (key) return key
    throw new VmmError('not-found', 'The key that this is sealed with is not here.', {
      hint: 'Import the keys of the data folder that it comes from.',
      context: { key: id },
    })
  }

  /** The key of that id; null while the keys are locked, and for one that is not there. */
  find(id: string): Uint8Array | null {
    return this.#ring?.keys.get(id) ?? null
  }

  view(): KeysView {
    const protection = this.#stored?.protection ?? 'file'
    const trouble = this.#trouble
    return {
      protection,
      locked: this.#ring === null,
      keychain: { usable: trouble === '', name: this.parts.keychain?.name ?? '', reason: trouble },
      imported: Math.max(0, (this.#ring?.keys.size ?? 1) - 1),
      protects: PROTECTS,
      leaves: protection === 'file' ? [UNGUARDED, ...LEAVES] : LEAVES,
    }
  }

  async unlock(passphrase: string): Promise<KeysView> {
    if (this.#ring !== null) return this.view()
    const stored = this.#stored
    if (stored?.protection !== 'passphrase') throw this.#locked()
    const wrapping = wrappingOf(stored.ring, passphrase)
    const ring = openKeyRing(stored.ring, wrapping)
    await this.beforeUnlock((id) => ring.keys.get(id) ?? null)
    this.#ring = ring
    this.#wrapping = wrapping
    this.#changed()
    return this.view()
  }

  async protect({ protection, passphrase }: CheckedArgs<'keys.protect'>): Promise<KeysView> {
    if (protection === 'passphrase' && passphrase === undefined) {
      throw new VmmError('invalid', 'There is no passphrase to guard the keys with.', { hint: 'Give one.' })
    }
    const trouble = protection === 'keychain' ? this.#trouble : ''
    if (trouble) throw new VmmError('unsupported', trouble, { hint: 'Choose a passphrase.' })
    this.#wrapping = passphrase === undefined || protection !== 'passphrase' ? null : newWrapping(passphrase)
    await this.#guard(this.#open(), protection)
    await this.parts.journal.info(null, 'keys.protected', `The keys are guarded by ${GUARDS[protection]} now.`)
    this.#changed()
    return this.view()
  }

  async exportTo({ path: file, passphrase }: CheckedArgs<'keys.export'>): Promise<KeysView> {
    const text = `${JSON.stringify({ vivariumKeys: 1, ring: sealKeyRing(this.#open(), newWrapping(passphrase)) })}\n`
    await writeFile(file, text, { mode: 0o600, flag: 'wx' }).catch((error: unknown) => {
      if (errorCode(error) !== 'EEXIST') throw error
      throw new VmmError('conflict', 'There is a file of that name already.', { hint: 'Choose another name.' })
    })
    await this.parts.journal.info(null, 'keys.exported', 'The keys were written to a file, sealed by a passphrase.')
    return this.view()
  }

  async importFrom({ path: file, passphrase }: CheckedArgs<'keys.import'>): Promise<KeysView> {
    const { ring: sealed } = await readExport(file)
    const ring = openKeyRing(sealed, wrappingOf(sealed, passphrase))
    const protection = this.#stored?.protection ?? 'file'
    if (this.#ring === null) {
      if (protection === 'passphrase') throw this.#locked()
      // what nobody can open now may be opened elsewhere
      await rename(this.#file, `${this.#file}.before-import`)
    }
    const joined = this.#ring === null ? ring : joinKeyRings(this.#ring, ring)
    await this.#guard(joined, protection === 'keychain' && this.#trouble !== '' ? 'file' : protection)
    await this.parts.journal.info(null, 'keys.imported', 'Keys were imported.')
    this.#changed()
    return this.view()
  }

  #open(): KeyRing {
    if (this.#ring) return this.#ring
    throw this.#locked()
  }

  #locked(): VmmError {
    const byPassphrase = this.#stored?.protection === 'passphrase'
    return new VmmError('denied', 'The keys are locked, and what is sealed with them cannot be opened.', {
      hint: byPassphrase
        ? 'Give the passphrase in the window or with `vivarium keys unlock`.'
        : 'Start Vivarium in the session whose keychain has the key, or import the keys from an exported file.',
    })
  }

  async #reveal(ring: string): Promise<KeyRing | null> {
    try {
      return parseKeyRing((await this.parts.keychain?.reveal(Buffer.from(ring, 'base64'))) ?? '')
    } catch {
      return null // another person's keychain: locked, and said to be
    }
  }

  async #guard(ring: KeyRing, protection: StoredKeys['protection']): Promise<void> {
    this.#stored = await this.#sealed(ring, protection)
    this.#ring = ring
    await writeWhole(this.#file, JSON.stringify(this.#stored))
  }

  async #sealed(ring: KeyRing, protection: StoredKeys['protection']): Promise<StoredKeys> {
    const text = keyRingText(ring)
    switch (protection) {
      case 'passphrase':
        if (this.#wrapping === null) throw this.#locked()
        return { version: 1, protection, ring: sealKeyRing(ring, this.#wrapping) }
      case 'keychain': {
        const bytes = (await this.parts.keychain?.protect(text)) ?? new Uint8Array()
        return { version: 1, protection, ring: Buffer.from(bytes).toString('base64') }
      }
      case 'file':
        return { version: 1, protection, ring: Buffer.from(text, 'utf8').toString('base64') }
    }
  }

  async #read(): Promise<StoredKeys | null> {
    try {
      return v.parse(StoredKeys, JSON.parse(await readFile(this.#file, 'utf8')))
    } catch (error) {
      if (errorCode(error) === 'ENOENT') return null
      throw new VmmError('damaged', 'The file of the keys cannot be read.', {
        hint: 'Put keys.json of the data folder back from a copy, or move it away and import the keys.',
        context: { file: this.#file },
        cause: error,
      })
    }
  }

  get #file(): string {
    return path.join(this.parts.folder, 'keys.json')
  }

  #changed(): void {
    this.parts.broadcast.publish({ topic: 'files', payload: { id: '', meters: null, denials: [], changed: 'keys' } })
    this.onUnlock()
  }
}

const UNGUARDED = 'Anything, from somebody who can read the data folder: the key lies in it. Guard it in another way.'
const GUARDS: Record<StoredKeys['protection'], string> = {
  keychain: "the system's keychain",
  passphrase: 'a passphrase',
  file: 'nothing but the permissions of the data folder',
}

async function readExport(file: string): Promise<v.InferOutput<typeof ExportedKeys>> {
  const handle = await open(file, 'r')
  try {
    const found = await handle.stat()
    if (!found.isFile() || found.size > FILE_MOST) throw new Error('It is no file of keys.')
    return v.parse(ExportedKeys, JSON.parse(await handle.readFile('utf8')))
  } catch (error) {
    throw new VmmError('invalid', 'This file does not hold exported keys.', { hint: 'Choose another.', cause: error })
  } finally {
    await handle.close()
  }
}

/** Whole or not at all, and durable: without it nothing sealed can be opened again. */
async function writeWhole(file: string, text: string): Promise<void> {
  const partial = `${file}.partial`
  await rm(partial, { force: true })
  const handle = await open(partial, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(partial, file)
}
