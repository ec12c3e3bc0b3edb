import { execFileSync } from 'node:child_process'
import { describe, expect, test } from 'vitest'
import { usualDisk, usualEngine, usualMemory } from '../../vmm/model/engine-choice'
import { shellLine } from '../../vmm/model/shell-words'
import { engineView, SMALL, WHOLE } from '../support/views'

const small = engineView({ id: 'embedded' })
const whole = engineView({ id: 'qemu', capabilities: WHOLE })

describe('the engine for a new domain', () => {
  test.each([
    ['starter', 'embedded'],
    [undefined, 'embedded'],
    ['kernel', 'qemu'],
    ['cdrom', 'qemu'],
    ['disk', 'qemu'],
    ['floppy', 'qemu'],
  ] as const)('of the image kind %s is %s', (kind, expected) => {
    expect(usualEngine(kind, [small, whole])?.id).toBe(expected)
    expect(usualEngine(kind, [whole, small].reverse())?.id).toBe(expected)
  })

  test('is one that works', () => {
    expect(usualEngine('cdrom', [small, { ...whole, works: false }])?.id).toBe('embedded')
    expect(usualEngine('starter', [{ ...small, works: false }, whole])?.id).toBe('qemu')
    expect(usualEngine('disk', [{ ...small, works: false }])).toBeUndefined()
  })

  test('decides on memory and on the disk to install to', () => {
    expect(usualMemory('starter', WHOLE)).toBe(128)
    expect(usualMemory('cdrom', WHOLE)).toBe(2048)
    expect(usualMemory('disk', SMALL)).toBe(512)
    expect(usualDisk('cdrom', WHOLE)).toBe(20 * 1024)
    expect(usualDisk('cdrom', SMALL)).toBe(0)
    expect(usualDisk('disk', WHOLE)).toBe(0)
  })
})

describe('a command as one line', () => {
  const WORDS = ['a', 'a b', "it's", '$HOME', '{"a":"b"}', '', '-x=1,y', '`id`', '*', '\\', 'ä', '"', "''"]

  test.skipIf(process.platform === 'win32')('is taken apart by a shell into the same words', () => {
    const printed = execFileSync('/bin/sh', ['-c', `printf '%s\\n' ${shellLine(WORDS)}`], { encoding: 'utf8' })

    expect(printed).toBe(WORDS.map((word) => `${word}\n`).join(''))
  })

  test('shows no controls', () => {
    expect(shellLine(['a\u001b[31m', 'b\u202ec'])).toBe("'a\ufffd[31m' 'b\ufffdc'")
  })
})
