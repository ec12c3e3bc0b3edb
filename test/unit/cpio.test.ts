import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { writeCpio, type CpioEntry } from '../../vmm/images/cpio'

const ENTRIES: CpioEntry[] = [
  { kind: 'directory', path: 'dev' },
  { kind: 'character-device', path: 'dev/console', major: 5, minor: 1 },
  { kind: 'file', path: 'init', mode: 0o755, content: '#!/bin/sh\n' },
  { kind: 'file', path: 'empty', content: '' },
  { kind: 'file', path: 'odd', content: Buffer.from([1, 2, 3, 4, 5]) },
  { kind: 'symlink', path: 'sh', target: '/bin/busybox' },
]

interface Parsed {
  path: string
  mode: number
  major: number
  minor: number
  content: string
}

/** A reader of its own, after the description of the format. */
function parse(archive: Buffer): Parsed[] {
  const found: Parsed[] = []
  for (let at = 0; ;) {
    expect(archive.toString('latin1', at, at + 6)).toBe('070701')
    const field = (index: number) => parseInt(archive.toString('latin1', at + 6 + index * 8, at + 14 + index * 8), 16)
    const nameEnd = at + 110 + field(11)
    expect(archive[nameEnd - 1]).toBe(0)
    const path = archive.toString('utf8', at + 110, nameEnd - 1)
    const start = Math.ceil(nameEnd / 4) * 4
    const end = start + field(6)
    if (path === 'TRAILER!!!') return found
    const content = archive.toString('latin1', start, end)
    found.push({ path, mode: field(1), major: field(9), minor: field(10), content })
    at = Math.ceil(end / 4) * 4
  }
}

const cpio = spawnSync('cpio', ['--version'])

describe('writeCpio', () => {
  it('writes every kind of entry with its mode and content', () => {
    const parsed = parse(writeCpio(ENTRIES))
    expect(parsed).toEqual([
      { path: 'dev', mode: 0o040755, major: 0, minor: 0, content: '' },
      { path: 'dev/console', mode: 0o020600, major: 5, minor: 1, content: '' },
      { path: 'init', mode: 0o100755, major: 0, minor: 0, content: '#!/bin/sh\n' },
      { path: 'empty', mode: 0o100644, major: 0, minor: 0, content: '' },
      { path: 'odd', mode: 0o100644, major: 0, minor: 0, content: '\x01\x02\x03\x04\x05' },
      { path: 'sh', mode: 0o120777, major: 0, minor: 0, content: '/bin/busybox' },
    ])
  })

  it('gives the same bytes for the same entries', () => {
    expect(writeCpio(ENTRIES).equals(writeCpio(ENTRIES))).toBe(true)
  })

  it.each(['', '/etc', 'a//b', '../etc', 'a/./b', 'a\0b', 'TRAILER!!!'])('refuses the path %j', (path) => {
    expect(() => writeCpio([{ kind: 'directory', path }])).toThrow(RangeError)
  })

  it.skipIf(cpio.error !== undefined)('is read by cpio itself', () => {
    const listing = spawnSync('cpio', ['-it', '--quiet'], { input: writeCpio(ENTRIES), encoding: 'utf8' })
    expect(listing.stderr).toBe('')
    expect(listing.stdout.trim().split('\n')).toEqual(ENTRIES.map(({ path }) => path))
  })
})
