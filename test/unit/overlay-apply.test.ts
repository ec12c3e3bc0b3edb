import fs from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import type { OverlayProvider } from '../../vmm/files/overlay'
import { MemoryProvider } from '../../vmm/files/provider-memory'
import {
  BY_GUEST,
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

const FOLDER = { mode: 0o755, uid: 0, gid: 0 }
const LARGE = 6 * 1024 * 1024

/** An overlay above a folder of the host, and the folder as what changes are brought to. */
function shared() {
  const folder = temporaryFolder()
  const host = join(folder, 'host')
  fs.mkdirSync(join(host, 'sub/inner'), { recursive: true })
  fs.writeFileSync(join(host, 'kept'), 'as it was')
  fs.writeFileSync(join(host, 'sub/file'), 'below')
  fs.writeFileSync(join(host, 'sub/inner/deep'), 'deep')
  fs.writeFileSync(join(host, 'large'), Buffer.alloc(LARGE, 'x'))
  const open = () => openOverlay(folder, new HostFolderProvider({ folder: host, writable: false }))
  return { folder, host, open, overlay: open(), target: new HostFolderProvider({ folder: host, writable: true }) }
}

function rename(overlay: OverlayProvider, from: string, to: string): void {
  const [folder, toFolder] = [from, to].map((path) => nodeAt(overlay, path.split('/').slice(0, -1).join('/')))
  overlay.rename(folder as never, from.split('/').at(-1) ?? '', toFolder as never, to.split('/').at(-1) ?? '')
}

const every = (overlay: OverlayProvider): string[] => [...overlay.changes()].map(({ path }) => path)
const outcomes = (all: { path: string; outcome: string }[]) => all.map(({ path, outcome }) => `${path} ${outcome}`)

test('what was moved, and moved out of what was removed, reaches the host whole', async () => {
  const { host, overlay, target } = shared()
  rename(overlay, 'kept', 'moved')
  rename(overlay, 'large', 'larger')
  writeAt(overlay, nodeAt(overlay, 'larger'), 5, 'guest')
  rename(overlay, 'sub/inner/deep', 'deep')
  overlay.unlink(nodeAt(overlay, 'sub') as never, 'inner', true)
  const before = describeTree(overlay).map((line) => line.replace(/ \d+:\d+ /, ' '))

  expect((await overlay.apply(['kept'], target))[0]).toMatchObject({ outcome: 'refused' })
  const all = await overlay.apply(every(overlay), target)
  expect(all.filter(({ outcome }) => outcome !== 'done')).toEqual([])
  expect(every(overlay)).toEqual([])
  expect(fs.readdirSync(host).sort()).toEqual(['deep', 'larger', 'moved', 'sub'])
  expect(fs.readFileSync(join(host, 'larger'), 'utf8').slice(0, 12)).toBe('xxxxxguestxx')
  expect(fs.readdirSync(join(host, 'sub'))).toEqual(['file'])
  expect(describeTree(overlay).map((line) => line.replace(/ \d+:\d+ /, ' '))).toEqual(before)
})

test('a folder that was made or moved stays a change until all in it was brought over', async () => {
  const { host, overlay, target } = shared()
  const made = overlay.createFolder(overlay.root(), 'made', FOLDER)
  putFile(overlay, made, 'one', '1')
  putFile(overlay, made, 'two', '2')
  rename(overlay, 'sub', 'elsewhere')
  writeAt(overlay, nodeAt(overlay, 'elsewhere/file'), 0, 'BE')

  expect(outcomes(await overlay.apply(['made', 'made/one'], target))).toEqual(['made done', 'made/one done'])
  expect([textAt(overlay, 'made/one'), textAt(overlay, 'made/two')]).toEqual(['1', '2'])
  expect((await overlay.apply(['elsewhere'], target))[0]).toMatchObject({ outcome: 'refused' })
  expect(textAt(overlay, 'elsewhere/file')).toBe('BElow')

  const all = await overlay.apply(every(overlay), target, { force: true })
  expect(all.filter(({ outcome }) => outcome !== 'done')).toEqual([])
  expect(every(overlay)).toEqual([])
  expect(fs.readFileSync(join(host, 'elsewhere/file'), 'utf8')).toBe('BElow')
  expect(fs.readdirSync(join(host, 'made')).sort()).toEqual(['one', 'two'])
  expect(fs.existsSync(join(host, 'sub'))).toBe(false)
})

test('a large file is copied in turns with others and keeps its holes; what the guest changes meanwhile stays', async () => {
  const { host, overlay, target } = shared()
  const sparse = putFile(overlay, overlay.root(), 'sparse', 'begin')
  overlay.change(sparse as never, { size: 64 * 1024 * 1024 })
  let turns = 0
  const ticking = setInterval(() => turns++)
  const applied = overlay.apply(['sparse'], target)
  await applied
  clearInterval(ticking)
  expect(turns).toBeGreaterThan(3)
  const { size, blocks } = fs.statSync(join(host, 'sparse'))
  expect([size, blocks * 512 < 1024 * 1024]).toEqual([64 * 1024 * 1024, true])

  writeAt(overlay, nodeAt(overlay, 'large'), 0, 'first')
  const busy = overlay.apply(['large'], target)
  await new Promise(setImmediate)
  writeAt(overlay, nodeAt(overlay, 'large'), 0, 'newer')
  expect((await busy)[0]).toMatchObject({ outcome: 'failed', reason: expect.stringContaining('guest') as string })
  expect(textAt(overlay, 'large').slice(0, 6)).toBe('newerx')
  expect(fs.readFileSync(join(host, 'large'), 'utf8').slice(0, 6)).toBe('xxxxxx')
  expect(fs.readdirSync(host).sort()).toEqual(['kept', 'large', 'sparse', 'sub'])
})

test('an aborted apply tells how far it came, and leaves the rest and nothing half done', async () => {
  const { host, overlay, target } = shared()
  putFile(overlay, overlay.root(), 'first', '1')
  writeAt(overlay, nodeAt(overlay, 'large'), 0, 'guest')
  putFile(overlay, nodeAt(overlay, 'sub'), 'later', '2')
  const abort = new AbortController()
  const progress: number[][] = []
  const onProgress = (done: number, of: number) => {
    progress.push([done, of])
    setTimeout(() => abort.abort())
  }
  const done = await overlay.apply(['first', 'large', 'sub/later'], target, { signal: abort.signal, onProgress })
  expect(outcomes(done)).toEqual(['first done'])
  expect(progress).toEqual([[1, 3]])
  expect(fs.readdirSync(host).sort()).toEqual(['first', 'kept', 'large', 'sub'])
  expect(every(overlay).sort()).toEqual(['large', 'sub/later'])
})

test('changes do not leave the folder by a link that the host puts in the way', async () => {
  const { folder, host, overlay, target } = shared()
  const outside = join(folder, 'outside')
  fs.mkdirSync(outside)
  putFile(overlay, nodeAt(overlay, 'sub'), 'new', 'guest')
  writeAt(overlay, nodeAt(overlay, 'sub/file'), 0, 'guest')
  const paths = every(overlay)
  fs.renameSync(join(host, 'sub'), join(folder, 'away'))
  fs.symlinkSync(outside, join(host, 'sub'))
  for (const { outcome } of await overlay.apply(paths, target)) expect(outcome).toBe('failed')

  // and while a file is on its way
  writeAt(overlay, nodeAt(overlay, 'large'), 0, 'guest')
  fs.mkdirSync(join(host, 'deep'))
  fs.renameSync(join(host, 'large'), join(host, 'deep/large'))
  writeAt(overlay, putFile(overlay, nodeAt(overlay, 'deep'), 'mine', ''), 0, Buffer.alloc(LARGE, 'g'))
  const busy = overlay.apply(['deep/mine'], target)
  await new Promise(setImmediate)
  fs.renameSync(join(host, 'deep'), join(folder, 'away deep'))
  fs.symlinkSync(outside, join(host, 'deep'))
  expect((await busy)[0]?.outcome).toBe('failed')
  expect(fs.readdirSync(outside)).toEqual([])
  expect(fs.readdirSync(join(folder, 'away')).sort()).toEqual(['file', 'inner'])
  expect(fs.readFileSync(join(folder, 'away/file'), 'utf8')).toBe('below')
})

test('a moved folder, and folders in folders, are given up whole', () => {
  const { overlay } = shared()
  const before = describeTree(overlay)
  rename(overlay, 'sub', 'moved')
  writeAt(overlay, nodeAt(overlay, 'moved/inner/deep'), 0, 'DE')
  putFile(overlay, nodeAt(overlay, 'moved/inner'), 'new', 'new')
  const one = overlay.createFolder(overlay.root(), 'one', FOLDER)
  putFile(overlay, overlay.createFolder(one, 'two', FOLDER), 'three', '3')
  expect(outcomes(overlay.discard(['moved', 'one']))).toEqual(['moved done', 'one done'])
  expect(describeTree(overlay)).toEqual(before)
})

test('files are found again after a restart, also those that were removed while they were open', async () => {
  const folder = temporaryFolder()
  const lower = new MemoryProvider()
  for (const name of ['clean', 'moved', 'removed']) putFile(lower, lower.root(), name, name)
  const first = openOverlay(folder, unclosed(lower), { keepRemoved: true })
  putFile(first, first.root(), 'made', 'made')
  const words = ['clean', 'moved', 'removed', 'made'].map((name) => first.identity(first.lookup(first.root(), name)))
  first.rename(first.root(), 'moved', first.root(), 'elsewhere')
  for (const name of ['removed', 'made']) first.unlink(first.root(), name, false)
  writeAt(first, first.createFile(first.root(), 'removed', BY_GUEST), 0, 'another')
  first.close()
  await first.ended()

  const again = openOverlay(folder, unclosed(lower), { keepRemoved: true })
  const text = (word = ''): string => {
    const file = again.open(again.revive(word), false)
    const into = Buffer.alloc(100)
    return into.toString('utf8', 0, file.read(0, into))
  }
  expect(words.map(text)).toEqual(['clean', 'moved', 'removed', 'made'])
  again.releaseRemoved()
  expect(words.map(text)).toEqual(['clean', 'moved', 'removed', 'made'])
  again.close()
  await again.ended()

  const last = openOverlay(folder, unclosed(lower), { keepRemoved: true })
  last.releaseRemoved()
  expect(words.map((word) => outcomeOf(() => last.revive(word)))).toEqual(['done', 'done', 'ESTALE', 'ESTALE'])
  expect(outcomeOf(() => last.revive('nonsense'))).toBe('ESTALE')
  last.close()
  await last.ended()
})
