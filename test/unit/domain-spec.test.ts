import { describe, expect, test } from 'vitest'
import { DomainPatchSchema, DomainSpecSchema, parseOrRefuse } from '../../vmm/model/domain'
import type { VmmError } from '../../vmm/model/errors'
import { NO_LIMITS } from '../../vmm/model/hardware'
import { EMPTY_POLICY } from '../../vmm/model/policy'
import { hasUnsafeText } from '../../vmm/model/safe-text'
import { below, oddText, pick } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const GOOD = { name: 'web-1', engine: 'embedded', imageId: 'starter-1' }

function refusalOf(value: unknown): VmmError {
  try {
    parseOrRefuse(DomainSpecSchema, value, 'domain spec')
  } catch (error) {
    return error as VmmError
  }
  throw new Error('it was accepted')
}

describe('a domain spec', () => {
  test('is filled up with what is usual', () => {
    expect(parseOrRefuse(DomainSpecSchema, GOOD, 'domain spec')).toEqual({
      ...GOOD,
      memoryMiB: 128,
      diskMiB: 0,
      cpus: 1,
      firmware: 'bios',
      machineType: 'auto',
      accelerator: 'auto',
      diskBus: 'auto',
      bootOrder: ['disk', 'cdrom'],
      disks: [],
      filesCard: false,
      nics: [{ model: 'virtio' }],
      diskLimits: NO_LIMITS,
      connections: [],
      forwards: [],
      policy: EMPTY_POLICY,
      shares: [],
      registry: { hives: [], served: false, prefixes: [] },
      template: false,
      group: '',
      notes: '',
      instantStart: true,
    })
  })

  test.each([
    ['an unknown field', { memroyMiB: 64 }, 'memroyMiB'],
    ['a field named like a method', { toString: 1 }, 'toString'],
    ['negative memory', { memoryMiB: -1 }, 'memoryMiB'],
    ['too much memory', { memoryMiB: 1e9 }, 'memoryMiB'],
    ['half a MiB', { memoryMiB: 64.5 }, 'memoryMiB'],
    ['memory that is no number', { memoryMiB: Number.NaN }, 'memoryMiB'],
    ['endless memory', { memoryMiB: Infinity }, 'memoryMiB'],
    ['memory as text', { memoryMiB: '64' }, 'memoryMiB'],
    ['an empty name', { name: '' }, 'name'],
    ['a name of 10,000 characters', { name: 'x'.repeat(10_000) }, 'name'],
    ['a name with a newline', { name: 'a\nb' }, 'name'],
    ['a name with an escape', { name: 'a\u001b[2Jb' }, 'name'],
    ['a name that turns text around', { name: 'exe\u202etxt' }, 'name'],
    ['a name with an Arabic letter mark', { name: 'a\u061cb' }, 'name'],
    ['a name with hidden characters', { name: 'a\u200bb' }, 'name'],
    ['a padded name', { name: ' a' }, 'name'],
    ['a name of spaces', { name: '   ' }, 'name'],
    ['a name that is a list', { name: ['a'] }, 'name'],
    ['a name that is missing', { name: undefined }, 'name'],
    ['an unknown engine', { engine: 'bochs' }, 'engine'],
    ['an image id that is a path', { imageId: '../../etc' }, 'imageId'],
    ['an image id of 65 characters', { imageId: 'a'.repeat(65) }, 'imageId'],
    ['a negative disk', { diskMiB: -1 }, 'diskMiB'],
    ['a disk as text of 10,000 characters', { diskMiB: '\u001b'.repeat(10_000) }, 'diskMiB'],
    ['a group with controls', { group: '\u0007' }, 'group'],
    ['notes without end', { notes: 'x'.repeat(10_001) }, 'notes'],
    ['an answer that is neither yes nor no', { instantStart: 'yes' }, 'instantStart'],
  ])('%s is refused in one clear sentence that names the field', (_, change, field) => {
    const refusal = refusalOf({ ...GOOD, ...change })

    expect(refusal).toMatchObject({ kind: 'invalid', context: { path: field } })
    expect(refusal.message).toMatch(new RegExp(`^The domain spec is not valid at '${field}': .+\\.$`))
    expect(refusal.message.length).toBeLessThan(250)
    expect(refusal.hint).not.toBe('')
    expect(hasUnsafeText(refusal.message)).toBe(false)
  })

  test.each([null, undefined, 5, 'spec', [], [GOOD], true])('%j is not a spec', (value) => {
    const refusal = refusalOf(value)

    expect(refusal.kind).toBe('invalid')
    expect(refusal.message).toMatch(/^The domain spec is not valid/)
  })

  test('a field name that is hostile is made fit to show', () => {
    const refusal = refusalOf({ ...GOOD, ['\u001b[2J\u202e'.repeat(1000)]: 1 })

    expect(hasUnsafeText(refusal.message)).toBe(false)
    expect(refusal.message.length).toBeLessThan(350)
  })

  test('a patch takes no engine and no image', () => {
    expect(() => parseOrRefuse(DomainPatchSchema, { engine: 'qemu' }, 'change')).toThrow(/at 'engine'/)
    expect(() => parseOrRefuse(DomainPatchSchema, { imageId: 'x' }, 'change')).toThrow(/at 'imageId'/)
  })

  test('random specs are accepted whole or refused with kind invalid, and never shown unsafe', () => {
    const { random } = seededRandom()
    const value = () => pick(random, [oddText(random, below(random, 200)), random() * 1e9, -1, null, [], {}, true])
    for (let round = 0; round < 500; round++) {
      const fields = ['name', 'engine', 'imageId', 'memoryMiB', 'diskMiB', 'group', 'notes', oddText(random, 5)]
      const spec = { ...GOOD, [pick(random, fields)]: value() }

      const outcome = outcomeOf(spec)

      expect(['accepted', 'invalid']).toContain(outcome.kind)
      expect(hasUnsafeText(outcome.message)).toBe(false)
    }
  })
})

function outcomeOf(spec: unknown): { kind: string; message: string } {
  try {
    parseOrRefuse(DomainSpecSchema, spec, 'domain spec')
    return { kind: 'accepted', message: '' }
  } catch (error) {
    return error as VmmError
  }
}
