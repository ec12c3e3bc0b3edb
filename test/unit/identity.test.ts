import { describe, expect, test } from 'vitest'
import { identityOf, newMac } from '../../vmm/machine/identity'
import { below, oddText } from '../support/random-values'
import { seededRandom } from '../support/seeded-random'

const ID = '0b9f2c1e-aaaa-bbbb-cccc-0123456789ab'

function hostName(name: string): string {
  return identityOf({ id: ID, name, mac: '52:54:00:01:02:03' }).hostName
}

describe('identityOf', () => {
  test.each([
    ['web-1', 'web-1'],
    ['First one', 'first-one'],
    ['Über Café', 'uber-cafe'],
    ['a..b//c', 'a-b-c'],
    ['--x--', 'x'],
    ['$(reboot)', 'reboot'],
    ['ﬁle', 'file'],
    ['漢字', 'domain-0b9f2c1e'],
    ['😀', 'domain-0b9f2c1e'],
    ['-', 'domain-0b9f2c1e'],
  ])('%s becomes the host name %s', (name, expected) => {
    expect(hostName(name)).toBe(expected)
  })

  test('every name gives a host name that every system takes', () => {
    const { random } = seededRandom()
    for (let round = 0; round < 500; round++) {
      expect(hostName(oddText(random, below(random, 120)))).toMatch(/^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/)
    }
  })

  test('the machine id follows the domain, not its name', () => {
    const of = (id: string, name: string) => identityOf({ id, name, mac: '' }).machineId

    expect(of(ID, 'a')).toMatch(/^[0-9a-f]{32}$/)
    expect(of(ID, 'a')).toBe(of(ID, 'b'))
    expect(of(ID, 'a')).not.toBe(of('another', 'a'))
  })

  test('MAC addresses are of the local range, and differ', () => {
    const macs = Array.from({ length: 100 }, newMac)

    expect(macs.filter((mac) => !/^52:54:00(:[0-9a-f]{2}){3}$/.test(mac))).toEqual([])
    expect(new Set(macs).size).toBeGreaterThan(98)
  })
})
