import { execFileSync } from 'node:child_process'
import { closeSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { plainKey, type PlainKey } from '../../vmm/registry/hive'
import { readRegf, type RegfHive } from '../../vmm/registry/regf-read'
import { writeRegf } from '../../vmm/registry/regf-write'
import { findCommand } from '../support/display'
import { countsOf, manyKeys, wholeContent } from '../support/registry-hives'
import { temporaryFolder } from '../support/temporary-folder'

const MISSING = ['hivexml', 'hivexsh', 'hivexregedit', 'reglookup', 'reged'].filter((name) => !findCommand(name))
const WHY = MISSING.length > 0 ? `(needs ${MISSING.join(', ')})` : ''

describe.skipIf(WHY !== '')(`programs that others wrote ${WHY}`, () => {
  const large = manyKeys(400)
  const total = countsOf(large)

  test('hivexml and reglookup read all of a hive of ours, 10001 keys', () => {
    expect(total.keys).toBe(10_001)
    const file = written(large)

    const xml = hivexml(file)
    const lines = run('reglookup', '-H', file).trimEnd().split('\n')

    expect({ keys: xml.match(/<node /g)?.length, values: xml.match(/<value /g)?.length }).toEqual(total)
    const kinds = lines.map((line) => line.split(',')[1])
    const keys = kinds.filter((kind) => kind === 'KEY').length
    expect({ keys, values: kinds.length - keys }).toEqual(total)
  })

  test('hivexregedit exports the values of a hive of ours as they are, and large ones too', () => {
    const exported = run('hivexregedit', '--export', '--unsafe-printable-strings', written(large), '\\')
    const much = /"Much"=hex\(3\):([0-9a-f,]*)/.exec(exported)?.[1]
    expect(much).toBe(Array(40_000).fill('01').join(','))
    expect(exported.match(/^"Large number"=hex\(b\):01,02,03,04,05,06,07,ff$/gm)).toHaveLength(400)
    expect(exported).toContain('\n@=str(1):"the default of 399"\n')
  })

  test('what hivexregedit merges into a hive of ours is read', () => {
    const file = written(plainKey('ROOT'))
    const lines = large.keys.flatMap(({ name, keys }) =>
      ['', ...keys.map((key) => `\\${key.name}`)].map((below) => `[\\${ascii(name)}${below}]\n"Own"=dword:0000002a\n`),
    )
    const much = Array(20_000).fill('5a').join(',')
    run('hivexregedit', '--merge', file, { input: `${lines.join('\n')}\n[\\Group 0]\n"Much"=hex:${much}\n"é"="ü"\n` })

    const { root } = readRegf(readFileSync(file))

    const group = child(root, 'Group 0')
    expect(group.values.find(({ name }) => name === 'Much')?.data).toEqual(Buffer.alloc(20_000, 0x5a))
    const { keys, values } = countsOf(root)
    expect({ keys, values }).toEqual({ keys: 10_002, values: 10_002 })
    expect(child(child(root, 'Group 7 plain'), '{3-key}').values).toMatchObject([{ name: 'Own', type: 4 }])
  })

  test('what hivexsh adds to and deletes from a hive of ours is read', () => {
    const file = written(large)
    run('hivexsh', '-w', file, {
      input: 'cd \\Group 1 plain\nadd New one\ncd New one\nsetval 1\nHello\nstring:World\ncommit\n',
    })
    run('hivexsh', '-w', file, { input: 'cd \\Group 2 plain\ndel\ncommit\n' })

    const { root } = readRegf(readFileSync(file))

    const hello = { name: 'Hello', type: 1, data: Buffer.from('World\0', 'utf16le') }
    expect(child(child(root, 'Group 1 plain'), 'New one').values).toEqual([hello])
    const kept = { ...large, keys: large.keys.filter(({ name }) => name !== 'Group 2 plain') }
    child(root, 'Group 1 plain').keys = child(root, 'Group 1 plain').keys.filter(({ name }) => name !== 'New one')
    expect(withoutTimes(root)).toEqual(withoutTimes(kept))
  })

  test("chntpw's registry editor changes a hive of ours in place", () => {
    const file = written(large)
    const script = ['cd Group 4 plain', 'nk Born', 'cd Born', 'nv 4 Count', 'ed Count', '77', 'q', 'y']
    run('reged', '-e', file, { input: `${script.join('\n')}\n`, mayFail: true })

    const { root } = readRegf(readFileSync(file))

    const count = child(child(root, 'Group 4 plain'), 'Born').values
    expect(count).toEqual([{ name: 'Count', type: 4, data: Buffer.from([77, 0, 0, 0]) }])
    expect(countsOf(root)).toEqual({ keys: total.keys + 1, values: total.values + 1 })
  })

  test('reglookup tells the keys of a hive by names, times and owners', () => {
    const file = written(large)
    const line = run('reglookup', '-s', '-H', '-p', '/Group 1 plain', file)
      .split('\n')
      .find((each) => each.startsWith('/Group 1 plain,KEY'))
    expect(line).toContain('S-1-5-32-544')
    expect(line).toContain('S-1-5-18')
  })

  function written(root: PlainKey): string {
    const file = join(temporaryFolder(), 'hive')
    writeFileSync(file, writeRegf(root, 'hive'))
    return file
  }
})

interface RunOptions {
  input?: string
  /** Some programs end with a number of their own though all went well. */
  mayFail?: boolean
}

function run(program: string, ...given: (string | RunOptions)[]): string {
  const words = given.filter((word) => typeof word === 'string')
  const { input = '', mayFail = false } = given.find((word) => typeof word !== 'string') ?? {}
  try {
    return execFileSync(program, words, { input, encoding: 'utf8', maxBuffer: 1 << 28, stdio: 'pipe' })
  } catch (failure) {
    if (mayFail) return (failure as { stdout: string }).stdout
    throw failure
  }
}

/** It writes to a file only. */
function hivexml(hive: string): string {
  const output = join(temporaryFolder(), 'hive.xml')
  const descriptor = openSync(output, 'w')
  execFileSync('hivexml', [hive], { stdio: ['ignore', descriptor, 'pipe'] })
  closeSync(descriptor)
  return readFileSync(output, 'utf8')
}

/** What the line format of hivexregedit holds. */
const ascii = (name: string): string => name.replace(/[^ -~]/g, '_')

function child(key: RegfHive['root'], name: string): RegfHive['root'] {
  const found = key.keys.find((each) => each.name === name)
  if (!found) throw new Error(`there is no key ${name} among ${key.keys.map((each) => each.name).join(', ')}`)
  return found
}

const withoutTimes = (root: PlainKey): string[] =>
  wholeContent(root).map((line) => line.replace(/ \d+ null false$/, ''))
