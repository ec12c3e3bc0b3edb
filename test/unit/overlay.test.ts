import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import {
  describeTree,
  nodeAt,
  openOverlay,
  outcomeOf,
  putFile,
  textAt,
  unclosed,
  writeAt,
} from '../support/overlay-trees'
import { temporaryFolder } from '../support/temporary-folder'

function trees() {
  const lower = new MemoryProvider()
  putFile(lower, lower.root(), 'kept', 'as it was')
  putFile(lower, lower.root(), 'other', 'other')
  const folder = temporaryFolder()
  return { lower, folder, overlay: openOverlay(folder, unclosed(lower)) }
}

test('changes are told, applied to the host and given up', async () => {
  const { lower, overlay } = trees()
  writeAt(overlay, nodeAt(overlay, 'kept'), 0, 'IS')
  putFile(overlay, overlay.root(), 'new', 'new')
  overlay.unlink(overlay.root(), 'other', false)

  expect([...overlay.changes()].map(({ path, kind, before, after }) => [path, kind, before, after]).sort()).toEqual([
    ['kept', 'changed', 9, 9],
    ['new', 'added', null, 3],
    ['other', 'deleted', 5, null],
  ])
  expect(overlay.contentOf('kept', 'host', 5).toString()).toBe('as it')
  expect(overlay.contentOf('kept', 'guest', 5).toString()).toBe('IS it')

  expect(overlay.discard(['other'])).toEqual([{ path: 'other', outcome: 'done', reason: '' }])
  expect(textAt(overlay, 'other')).toBe('other')
  const outcomes = await overlay.apply(['kept', 'new'], lower)
  expect(outcomes.map(({ outcome }) => outcome)).toEqual(['done', 'done'])
  expect([textAt(lower, 'kept'), textAt(lower, 'new')]).toEqual(['IS it was', 'new'])
  expect([...overlay.changes()]).toEqual([])
  expect(describeTree(overlay).slice(1)).toEqual(describeTree(lower).slice(1))
})

test('what the host has changed too is a conflict unless it is forced', async () => {
  const { lower, overlay } = trees()
  writeAt(overlay, nodeAt(overlay, 'kept'), 0, 'IS')
  writeAt(lower, nodeAt(lower, 'kept'), 9, ', and more')

  expect((await overlay.apply(['kept'], lower))[0]?.outcome).toBe('conflict')
  expect(textAt(lower, 'kept')).toBe('as it was, and more')
  expect((await overlay.apply(['kept'], lower, { force: true }))[0]?.outcome).toBe('done')
  expect(textAt(lower, 'kept')).toBe('IS it was')
})

test('devices and set-id files are not brought to the host', async () => {
  const { lower, overlay } = trees()
  overlay.createDevice(overlay.root(), 'null', { mode: 0o020666, uid: 0, gid: 0 }, { major: 1, minor: 3 })
  putFile(overlay, overlay.root(), 'suid', 'x')
  overlay.change(overlay.lookup(overlay.root(), 'suid'), { mode: 0o4755 })

  expect((await overlay.apply(['null', 'suid'], lower)).map(({ outcome }) => outcome)).toEqual(['refused', 'refused'])
})

test('a large file of which a part was changed says so when the host changes the rest', () => {
  const { lower, overlay } = trees()
  const large = putFile(lower, lower.root(), 'large', Buffer.alloc(3_000_000, 'x'))
  writeAt(overlay, nodeAt(overlay, 'large'), 5, 'guest')
  expect(textAt(overlay, 'large').slice(0, 12)).toBe('xxxxxguestxx')

  writeAt(lower, large, 2_000_000, 'host')
  lower.change(large, { modified: { sec: 5, nsec: 0 } })
  expect(outcomeOf(() => textAt(overlay, 'large'))).toBe('EIO')
})

test('a damaged journal is refused, a missing blob is one unreadable file, and nothing is readable at rest', async () => {
  const { lower, folder, overlay } = trees()
  putFile(overlay, overlay.root(), 'secret-name', 'secret words'.repeat(100))
  putFile(overlay, overlay.root(), 'fine', 'fine')
  overlay.close()
  await overlay.ended()
  const home = join(folder, 'overlay')
  const blobs = readdirSync(join(home, 'blobs')).map((name) => join(home, 'blobs', name))
  const journal = readFileSync(join(home, 'journal'))
  expect([journal, ...blobs.map((file) => readFileSync(file))].some((bytes) => bytes.includes('secret'))).toBe(false)

  const large = blobs.find((file) => readFileSync(file).length > 100) ?? ''
  writeFileSync(large, '')
  const again = openOverlay(folder, unclosed(lower))
  expect(outcomeOf(() => textAt(again, 'secret-name'))).toBe('EIO')
  expect(textAt(again, 'fine')).toBe('fine')
  again.close()
  await again.ended()

  const broken = readFileSync(join(home, 'journal'))
  broken[1600] = (broken[1600] ?? 0) ^ 1
  writeFileSync(join(home, 'journal'), broken)
  expect(() => openOverlay(folder, unclosed(lower))).toThrow(/journal/)
})
