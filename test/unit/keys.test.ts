import { readFileSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { Broadcast } from '../../src-main/services/broadcast'
import type { Journal } from '../../src-main/services/journal'
import { KeyService, type Keychain } from '../../src-main/services/keys'
import { newKeyRing, newWrapping, openKeyRing, sealKeyRing, wrappingOf } from '../../vmm/sealed/key-ring'
import { temporaryFolder } from '../support/temporary-folder'

const PASSPHRASE = 'correct horse'
const journal = { info: () => Promise.resolve() } as unknown as Journal

async function openKeys(folder: string, keychain: Keychain | null = null): Promise<KeyService> {
  const keys = new KeyService({ folder, keychain, broadcast: new Broadcast(), journal })
  await keys.load()
  return keys
}

/** A keychain that anybody can open who knows its secret. */
function keychain(secret = 1): Keychain {
  const turned = (bytes: Uint8Array) => bytes.map((byte) => byte ^ secret)
  return {
    name: 'test',
    trouble: () => Promise.resolve(''),
    protect: (text) => Promise.resolve(turned(Buffer.from(text))),
    reveal: (bytes) => Promise.resolve(Buffer.from(turned(bytes)).toString()),
  }
}

describe('the keys of a data folder', () => {
  test('are made once, and lie beside the data where there is no keychain', async () => {
    const folder = temporaryFolder()
    const first = await openKeys(folder)
    const again = await openKeys(folder)

    expect(first.view()).toMatchObject({ protection: 'file', locked: false, imported: 0 })
    expect(first.key(first.current)).toHaveLength(32)
    expect(again.key(again.current)).toEqual(first.key(first.current))
    expect(statSync(path.join(folder, 'keys.json')).mode & 0o077).toBe(0)
    expect(first.key('')).toBeNull()
    expect(() => first.key('0000000000000000')).toThrow(expect.objectContaining({ kind: 'not-found' }) as Error)
  })

  test('are guarded by a keychain, and locked without it', async () => {
    const folder = temporaryFolder()
    const { current } = await openKeys(folder, keychain())

    expect((await openKeys(folder, keychain())).current).toBe(current)
    for (const stranger of [null, keychain(2)]) {
      const locked = await openKeys(folder, stranger)
      expect(locked.view()).toMatchObject({ protection: 'keychain', locked: true })
      expect(() => locked.current).toThrow(expect.objectContaining({ kind: 'denied' }) as Error)
    }
  })

  test('are opened by their passphrase and by no other; the file holds no key', async () => {
    const folder = temporaryFolder()
    const keys = await openKeys(folder)
    const key = Buffer.from(keys.key(keys.current) ?? [])
    await keys.protect({ protection: 'passphrase', passphrase: PASSPHRASE })

    const locked = await openKeys(folder)
    expect(locked.view()).toMatchObject({ protection: 'passphrase', locked: true })
    await expect(locked.unlock('wrong horse')).rejects.toMatchObject({ kind: 'denied' })
    expect(await locked.unlock(PASSPHRASE)).toMatchObject({ locked: false })
    expect(locked.key(keys.current)).toEqual(new Uint8Array(key))
    expect(readFileSync(path.join(folder, 'keys.json'), 'utf8')).not.toContain(key.toString('base64'))
    await locked.protect({ protection: 'file' })
    expect((await openKeys(folder)).current).toBe(keys.current)
  })

  test('go to another data folder in a file with a passphrase of its own', async () => {
    const [from, to] = [temporaryFolder(), temporaryFolder()]
    const [source, target] = [await openKeys(from), await openKeys(to)]
    const file = path.join(from, 'exported.json')
    await source.exportTo({ path: file, passphrase: PASSPHRASE })

    await expect(source.exportTo({ path: file, passphrase: PASSPHRASE })).rejects.toMatchObject({ kind: 'conflict' })
    await expect(target.importFrom({ path: file, passphrase: 'wrong horse' })).rejects.toMatchObject({ kind: 'denied' })
    const own = target.current
    expect(await target.importFrom({ path: file, passphrase: PASSPHRASE })).toMatchObject({ imported: 1 })

    expect(target.current).toBe(own)
    expect((await openKeys(to)).key(source.current)).toEqual(source.key(source.current))
  })

  test('are imported into a folder whose passphrase stays what it is', async () => {
    const [from, to] = [temporaryFolder(), temporaryFolder()]
    const [source, target] = [await openKeys(from), await openKeys(to)]
    await target.protect({ protection: 'passphrase', passphrase: PASSPHRASE })
    const file = path.join(from, 'exported.json')
    await source.exportTo({ path: file, passphrase: 'another horse' })
    await target.importFrom({ path: file, passphrase: 'another horse' })

    const reopened = await openKeys(to)
    await expect(reopened.unlock('another horse')).rejects.toThrow()
    expect((await reopened.unlock(PASSPHRASE)).imported).toBe(1)
  })

  test('that cannot be read keep the file as it is', async () => {
    const folder = temporaryFolder()
    writeFileSync(path.join(folder, 'keys.json'), '{"version":1,')

    await expect(openKeys(folder)).rejects.toMatchObject({ kind: 'damaged' })
    expect(readFileSync(path.join(folder, 'keys.json'), 'utf8')).toBe('{"version":1,')
  })
})

test('a sealed ring with one bit flipped anywhere is refused', () => {
  const sealed = sealKeyRing(newKeyRing(), newWrapping(PASSPHRASE))
  const wrapping = wrappingOf(sealed, PASSPHRASE)
  expect(openKeyRing(sealed, wrapping).keys.size).toBe(1)
  for (const field of ['nonce', 'tag', 'body'] as const) {
    const bytes = Buffer.from(sealed[field], 'base64')
    for (const at of bytes.keys()) {
      const flipped = Buffer.from(bytes)
      flipped[at] = (flipped[at] ?? 0) ^ 1
      const tampered = { ...sealed, [field]: flipped.toString('base64') }
      expect(() => openKeyRing(tampered, wrapping)).toThrow(expect.objectContaining({ kind: 'denied' }) as Error)
    }
  }
})
