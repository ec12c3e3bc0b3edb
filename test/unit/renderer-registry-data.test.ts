import { describe, expect, it } from 'vitest'
import { hexRows, hexText, parseHex } from '../../src-renderer/composables/hex-text'
import {
  bytesOf,
  draftOf,
  editorOf,
  OFFERED_TYPES,
  REG,
  renotated,
  utf16Bytes,
} from '../../src-renderer/composables/registry-data'
import { valueText } from '../../vmm/registry/value-text'
import { below, bytes as randomBytes } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const hexOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex')
const encoded = (type: number, text: string, notation: 'hex' | 'decimal' = 'hex'): string => {
  const told = bytesOf(type, { editor: editorOf(type), text, notation })
  return 'bytes' in told ? hexOf(told.bytes) : told.fault
}

describe('data of values', () => {
  it('becomes the bytes that Windows writes', () => {
    expect(encoded(REG.SZ, 'Aé')).toBe('4100e9000000')
    expect(encoded(REG.SZ, '')).toBe('0000')
    expect(encoded(REG.EXPAND_SZ, '%A%')).toBe('250041002500' + '0000')
    // beyond the basic plane: two units
    expect(encoded(REG.SZ, '😀')).toBe('3dd800de0000')
    expect(encoded(REG.MULTI_SZ, 'a\nb')).toBe('6100' + '0000' + '6200' + '0000' + '0000')
    expect(encoded(REG.MULTI_SZ, '')).toBe('0000')
    expect(encoded(REG.DWORD, '12ab')).toBe('ab120000')
    expect(encoded(REG.DWORD, '258', 'decimal')).toBe('02010000')
    expect(encoded(REG.DWORD_BIG_ENDIAN, '12ab')).toBe('000012ab')
    expect(encoded(REG.QWORD, 'ffffffffffffffff')).toBe('ffffffffffffffff')
    expect(encoded(REG.QWORD, '18446744073709551615', 'decimal')).toBe('ffffffffffffffff')
    expect(encoded(REG.BINARY, 'DE AD,be\nef')).toBe('deadbeef')
  })

  it('says what is wrong with what was typed', () => {
    expect(encoded(REG.DWORD, '100000000')).toBe('It does not fit into 32 bits.')
    expect(encoded(REG.DWORD, '4294967296', 'decimal')).toBe('It does not fit into 32 bits.')
    expect(encoded(REG.QWORD, '-1', 'decimal')).toBe('Write digits from 0 to 9.')
    expect(encoded(REG.DWORD, '')).toBe('Write digits from 0 to f.')
    expect(encoded(REG.BINARY, 'dea')).toContain('half a byte')
    expect(encoded(REG.BINARY, 'zz')).toContain('“z”')
    expect(encoded(REG.MULTI_SZ, 'a\n\nb')).toContain('A line is empty')
    expect(encoded(REG.SZ, 'a\0b')).toContain('NUL')
  })

  it('is edited as bytes where the editor of its type would change it', () => {
    const cases: [number, Uint8Array][] = [
      [REG.SZ, Uint8Array.of(0x41)],
      [REG.SZ, utf16Bytes('a\0b\0')],
      [REG.SZ, utf16Bytes('a\r\nb\0')],
      [REG.MULTI_SZ, utf16Bytes('a\0\0b\0\0')],
      [REG.MULTI_SZ, utf16Bytes('a\nb\0\0')],
      [REG.DWORD, Uint8Array.of(1, 2)],
      [REG.QWORD, Uint8Array.of(1, 2, 3, 4)],
    ]
    for (const [type, bytes] of cases) {
      const draft = draftOf(type, bytes)
      expect(draft).toMatchObject({ editor: 'hex', text: hexText(bytes) })
      expect(draft.why).not.toBe('')
      expect(bytesOf(type, draft)).toEqual({ bytes })
    }
  })

  it('is shown by its editor as main shows it', () => {
    expect(draftOf(REG.DWORD, Uint8Array.of(0xab, 0x12, 0, 0))).toMatchObject({ editor: 'number', text: '12ab' })
    expect(draftOf(REG.DWORD_BIG_ENDIAN, Uint8Array.of(0, 0, 0x12, 0xab)).text).toBe('12ab')
    expect(draftOf(REG.SZ, utf16Bytes('no end'))).toMatchObject({ editor: 'text', text: 'no end' })
    expect(draftOf(REG.MULTI_SZ, utf16Bytes('a\0b\0\0'))).toMatchObject({ editor: 'lines', text: 'a\nb' })
    const told = bytesOf(REG.DWORD, { editor: 'number', text: '2a', notation: 'hex' })
    expect('bytes' in told && valueText(REG.DWORD, told.bytes)).toBe('0x0000002a (42)')
    expect([
      renotated('ff', 'hex', 'decimal'),
      renotated('255', 'decimal', 'hex'),
      renotated('?', 'hex', 'decimal'),
    ]).toEqual(['255', 'ff', '?'])
  })

  it('comes back as it was, whatever it is', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 2000; round++) {
      const bytes = randomBytes(random, below(random, 24))
      const type = [...OFFERED_TYPES, 77][round % (OFFERED_TYPES.length + 1)] ?? 0
      const draft = draftOf(type, bytes)
      const told = bytesOf(type, draft)
      if (!('bytes' in told)) throw new Error(`${type} ${hexOf(bytes)}: ${told.fault}`)
      // a missing terminator is added, a missing number is 0; nothing else changes
      if (hexOf(told.bytes) === hexOf(bytes)) continue
      expect(draft.editor).not.toBe('hex')
      expect(hexOf(told.bytes).startsWith(hexOf(bytes))).toBe(true)
      expect(hexOf(told.bytes).slice(bytes.length * 2)).toMatch(/^(0000){1,4}$/)
    }
  })
})

describe('hexadecimal', () => {
  it('has rows of sixteen, with their offset and what can be read of them', () => {
    const bytes = Uint8Array.from({ length: 20 }, (_, at) => at + 0x40)
    expect(hexText(bytes).split('\n')[1]).toBe('50 51 52 53')
    expect(parseHex(hexText(bytes))).toEqual({ bytes })
    expect(hexRows(Uint8Array.of(0x41, 0, 0x7f, 0x7e), 0x1000)).toEqual([
      { offset: '00001000', hex: '41 00 7f 7e', ascii: 'A..~' },
    ])
  })
})
