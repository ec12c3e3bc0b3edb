import { expect, test } from 'vitest'
import { plainKey, REG, type PlainKey } from '../../vmm/registry/hive'
import { readRegf } from '../../vmm/registry/regf-read'
import { DEFAULT_DESCRIPTOR } from '../../vmm/registry/regf-security'
import { writeRegf } from '../../vmm/registry/regf-write'
import { manyKeys, wholeContent } from '../support/registry-hives'

test('a hive comes back as it was written, whatever its names and data', () => {
  const root = manyKeys(400)
  root.keys.push({
    ...plainKey('Späte Größe \u{1F600}', 132_000_000_000_000_001n),
    className: 'Klasse é',
    values: [0, 1, 4, 5, 16_343, 16_344, 16_345, 40_000].map((length) => ({
      name: length === 0 ? '' : `${length} bytes\0\\Ω`.slice(0, length + 10),
      type: length === 0 ? 0xffff_1234 : REG.BINARY,
      data: Uint8Array.from({ length }, (_, index) => index * 7),
    })),
  })
  root.keys.push({
    ...plainKey('Link'),
    link: true,
    values: [{ name: 'SymbolicLinkValue', type: REG.LINK, data: text('\\X') }],
  })

  const hive = readRegf(writeRegf(root, '\\Somewhere\\far away\\Users\\Somebody\\NTUSER.DAT'))

  expect(wholeContent(hive.root)).toEqual(wholeContent(root))
  expect(hive).toMatchObject({ minor: 5, notes: [] })
  expect('\\Somewhere\\far away\\Users\\Somebody\\NTUSER.DAT'.endsWith(hive.fileName)).toBe(true)
  expect(hive.root.keys[0]?.security).toEqual(DEFAULT_DESCRIPTOR)
})

test('what was read of a hive of ours gives the same bytes', () => {
  const first = writeRegf(manyKeys(2000), 'SOFTWARE')
  const { root, fileName } = readRegf(first)
  expect(Buffer.compare(writeRegf(root, fileName), first)).toBe(0)
})

test('keys keep their security descriptors', () => {
  const own = { ...plainKey('Own'), security: DEFAULT_DESCRIPTOR.slice(0, 20) }
  const { root } = readRegf(writeRegf({ ...plainKey('Root'), keys: [own, plainKey('Usual')] }))
  expect(root.keys.map(({ security }) => security)).toEqual([own.security, DEFAULT_DESCRIPTOR])
})

test.each<[string, Partial<PlainKey>, RegExp]>([
  ['two names that are one', { keys: [plainKey('Ünder'), plainKey('üNDER')] }, /same name/],
  ['a name with a backslash', { keys: [plainKey('A\\B')] }, /cannot name a key/],
  ['a key without a name', { keys: [plainKey('')] }, /cannot name a key/],
  ['a name that is too long', { keys: [plainKey('x'.repeat(256))] }, /256 characters/],
  ['a class that is too long', { keys: [{ ...plainKey('A'), className: 'x'.repeat(256) }] }, /class is too long/],
  ['two values with one name', { values: ['A', 'a'].map((name) => ({ name, type: 1, data: text('') })) }, /same name/],
])('%s is refused', (_what, more, message) => {
  expect(() => writeRegf({ ...plainKey('Root'), ...more })).toThrow(message)
})

test('keys can be as deep as the registry allows, and no deeper', () => {
  const nested = (depth: number): PlainKey => {
    let key = plainKey('Deepest')
    for (let level = 0; level < depth; level++) key = { ...plainKey('Level'), keys: [key] }
    return key
  }
  expect(wholeContent(readRegf(writeRegf(nested(512))).root)).toEqual(wholeContent(nested(512)))
  expect(() => writeRegf(nested(513))).toThrow(/too deep/)
})

function text(content: string): Uint8Array {
  return new Uint8Array(Buffer.from(content, 'utf16le'))
}
