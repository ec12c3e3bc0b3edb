import { plainKey, REG, type HiveKey, type PlainKey, type RegistryValue } from '../../vmm/registry/hive'

/** A hive such as a machine has: `groups` keys of 8 kinds of values with 24 empty keys each; most in one list. */
export function manyKeys(groups: number): PlainKey {
  const root = plainKey('ROOT', 131_000_000_000_000_000n)
  for (let number = 0; number < groups; number++) {
    const group = plainKey(`Group ${number} ${number % 3 === 0 ? 'Ünïcode ☃' : 'plain'}`, BigInt(number) << 33n)
    group.values = valuesOf(number)
    group.keys = Array.from({ length: 24 }, (_, index) => plainKey(`{${index}-key}`, BigInt(index)))
    root.keys.push(group)
  }
  return root
}

function valuesOf(number: number): RegistryValue[] {
  const utf16 = (content: string): Uint8Array => new Uint8Array(Buffer.from(content, 'utf16le'))
  const bytes = (...content: number[]): Uint8Array => Uint8Array.from(content)
  const values: RegistryValue[] = [
    { name: '', type: REG.SZ, data: utf16(`the default of ${number}\0`) },
    { name: 'Expanded', type: REG.EXPAND_SZ, data: utf16('%PATH%\\größer\0') },
    { name: 'Number', type: REG.DWORD, data: bytes(number & 255, (number >> 8) & 255, 0, 0x80) },
    { name: 'Large number', type: REG.QWORD, data: bytes(1, 2, 3, 4, 5, 6, 7, 255) },
    { name: 'Several', type: REG.MULTI_SZ, data: utf16('one\0two\0\0') },
    { name: 'Nothing', type: REG.NONE, data: bytes() },
    {
      name: 'Bytes with "quotes"',
      type: REG.BINARY,
      data: bytes(...Array.from({ length: number % 40 }, (_, at) => at)),
    },
  ]
  if (number % 100 === 1) values.push({ name: 'Much', type: REG.BINARY, data: new Uint8Array(40_000).fill(number) })
  return values
}

/** All that a hive holds, to be compared: a line for every key and value, in an order that does not depend on it. */
export function wholeContent(root: HiveKey): string[] {
  const lines: string[] = []
  const add = (key: HiveKey, path: string): void => {
    lines.push(`${path} ${key.written} ${JSON.stringify(key.className)} ${key.link}`)
    for (const { name, type, data } of key.values) {
      lines.push(`${path} = ${JSON.stringify(name)} ${type} ${Buffer.from(data).toString('hex')}`)
    }
    for (const child of key.keys) add(child, `${path}\\${child.name}`)
  }
  add(root, '')
  return lines.sort()
}

/** How many keys and values there are, the root too. */
export function countsOf(root: HiveKey): { keys: number; values: number } {
  const counts = { keys: 1, values: [...root.values].length }
  for (const child of root.keys) {
    const { keys, values } = countsOf(child)
    counts.keys += keys
    counts.values += values
  }
  return counts
}
