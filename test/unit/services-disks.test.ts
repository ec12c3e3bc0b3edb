import { describe, expect, test } from 'vitest'
import { kindOf } from '../support/outcome'
import { addScriptedImage, IMAGE_ID, openScripted, scriptedFolder } from '../support/scripted-vivarium'
import { finish, type Call } from '../support/vivarium'

/** A domain of QEMU's engine, whose disks need no QEMU while it is off. */
async function offDomain(call: Call): Promise<string> {
  return (await call('domains.create', { spec: { name: 'One', engine: 'qemu', imageId: IMAGE_ID } })).id
}

async function diskIds(call: Call, id: string): Promise<string[]> {
  return (await call('disks.list', { id })).map((disk) => disk.id)
}

describe('disks of a domain', () => {
  test('are changed one at a time, so that no change is lost', async () => {
    const { call } = await openScripted()
    const id = await offDomain(call)

    const outcomes = await Promise.all([
      kindOf(call('disks.add', { id, kind: 'disk', mib: 10 })),
      kindOf(call('disks.add', { id, kind: 'disk', mib: 20 })),
    ])

    const disks = await call('disks.list', { id })
    expect(disks.length).toBe(outcomes.filter((outcome) => outcome === 'done').length)
    expect(outcomes.sort()).toEqual(['conflict', 'done'])
  })

  test('are not removed, grown or added while a task has the domain, nor is a task begun meanwhile', async () => {
    const { call } = await openScripted()
    const id = await offDomain(call)
    await call('disks.add', { id, kind: 'disk', mib: 10 })

    const outcomes = await Promise.all([
      kindOf(call('disks.remove', { id, disk: 'disk1' })),
      kindOf(call('snapshots.create', { id })),
      kindOf(call('domains.clone', { id })),
      kindOf(call('disks.resize', { id, disk: 'disk1', mib: 20 })),
    ])

    expect(outcomes).toEqual(['done', 'conflict', 'conflict', 'conflict'])
    expect(await diskIds(call, id)).toEqual([])
  })
})

test('an image that only a snapshot needs is not removed before that', async () => {
  const folder = await scriptedFolder()
  await addScriptedImage(folder, { id: 'data', name: 'Data', kind: 'disk', agent: false })
  const { call } = await openScripted({}, folder)
  const id = await offDomain(call)
  await call('disks.add', { id, kind: 'disk', imageId: 'data' })
  const { resultId } = await finish(call, call('snapshots.create', { id }))
  await call('disks.remove', { id, disk: 'disk1' })

  await expect(call('images.remove', { id: 'data' })).rejects.toMatchObject({ kind: 'conflict' })

  await finish(call, call('snapshots.delete', { id, snapshotId: resultId }))
  await call('images.remove', { id: 'data' })
  expect((await call('images.list', {})).map((image) => image.id)).toEqual([IMAGE_ID])
})

test('a domain is not created with a disk or a CD that its image is not', async () => {
  const { call } = await openScripted()
  const create = (kind: 'disk' | 'cdrom', imageId: string) => {
    const disks = [{ id: 'disk1', kind, mib: 0, imageId, attached: true }]
    return call('domains.create', { spec: { name: 'One', engine: 'qemu', imageId: IMAGE_ID, disks } })
  }
  await expect(create('cdrom', IMAGE_ID)).rejects.toMatchObject({ kind: 'invalid' })
  await expect(create('disk', 'gone')).rejects.toMatchObject({ kind: 'not-found' })
  expect(await call('domains.list', {})).toEqual([])
})

test('memory is left to running guests only, and that is what the refusal speaks of', async () => {
  const { call } = await openScripted()
  const id = await offDomain(call)
  await expect(call('domains.setMemory', { id, memoryMiB: 64 })).rejects.toMatchObject({
    kind: 'state',
    message: 'One has no running machine.',
  })
})
