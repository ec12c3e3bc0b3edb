import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { describe, expect, test } from 'vitest'
import { REG } from '../../vmm/registry/hive'
import { openScripted, scriptedDomain } from '../support/scripted-vivarium'
import { temporaryFolder } from '../support/temporary-folder'
import { finish, until, type Call } from '../support/vivarium'

const PREFIX = { share: 'wine', path: '/prefix' }
const KEY = 'HKCU\\Software\\Vivarium'
const text = (content: string) => Buffer.from(`${content}\0`, 'utf16le')

const registryFile = (relativeTo: string, arch: string, keys: string) =>
  `WINE REGISTRY Version 2\n;; All keys relative to ${relativeTo}\n\n#arch=${arch}\n${keys}`
const key = (name: string, ...values: string[]) =>
  `\n[${name}] 1700000000\n#time=1da1749fe4e1900\n${values.map((value) => `${value}\n`).join('')}`
const keyed = (name: string) => key(`Software\\\\${name}`, '"Version"="8"')

/** A prefix on this host as Wine keeps it, in a folder that can be shared. */
function prefixFolder(arch = 'win64'): string {
  const folder = temporaryFolder()
  mkdirSync(path.join(folder, 'prefix'))
  const write = (name: string, content: string) => writeFileSync(path.join(folder, 'prefix', name), content)
  write('system.reg', registryFile('\\\\Machine', arch, keyed('Wine')))
  write('user.reg', registryFile('\\\\User\\\\S-1-5-21-0-0-0-1000', arch, keyed('Wine')))
  write('userdef.reg', registryFile('\\\\User\\\\.Default', arch, ''))
  return folder
}

const userFile = (folder: string) => path.join(folder, 'prefix', 'user.reg')
const read = (folder: string) => readFileSync(userFile(folder), 'utf8')
/** What a program of Wine does, once its server has written it. */
const program = (folder: string, change: (content: string) => string) =>
  writeFileSync(userFile(folder), change(read(folder)))
const adding = (name: string) => (content: string) => content + key(`Software\\\\${name}`, '"Made"="by a program"')

async function withPrefix(call: Call, folder: string): Promise<string> {
  const id = await scriptedDomain(call)
  await call('files.addShare', { id, folder, name: PREFIX.share, mode: 'direct' })
  await finish(call, call('registry.import', { id, source: { path: path.join(folder, 'prefix') }, as: 'hive' }))
  await call('registry.update', { id, registry: { prefixes: [PREFIX] } })
  return id
}

const set = (call: Call, id: string, name: string) =>
  call('registry.setValue', { id, key: KEY, name, type: REG.SZ, data: text('by the host') })
async function differences(call: Call, id: string): Promise<string[]> {
  const { entries } = await call('registry.diff', { id })
  return entries.map(({ kind, key: at, value }) =>
    `${kind} ${at.split('\\').slice(2).join('\\')} ${value ?? ''}`.trim(),
  )
}
async function start(call: Call, id: string): Promise<void> {
  await finish(call, call('domains.start', { id }))
  await until(call, id, ({ agent }) => agent === 'ready', 10_000)
}

describe('the registry of a domain with a Wine prefix', () => {
  test('is written before a start, and what programs changed is back when the machine has ended', async () => {
    const { call, guests } = await openScripted()
    const folder = prefixFolder()
    const id = await withPrefix(call, folder)
    await call('registry.createKey', { id, key: KEY })
    await set(call, id, 'Before')
    expect(read(folder)).not.toContain('by the host')

    await start(call, id)
    expect(read(folder)).toContain('"Before"="by the host"')
    program(folder, adding('Program'))
    program(folder, (content) => content.replace('"Before"="by the host"\n', ''))
    guests.at(-1)?.end()
    await until(call, id, ({ state }) => state === 'crashed', 10_000)

    expect(await differences(call, id)).toEqual([
      'added Software\\Program',
      'added Software\\Program Made',
      'added Software\\Vivarium',
    ])
    const log = await call('log.read', { domainId: id })
    expect(JSON.stringify(log)).toContain('3 changes of the registry came back')
  })

  test('keeps what was changed in it while programs ran', async () => {
    const { call } = await openScripted()
    const folder = prefixFolder()
    const id = await withPrefix(call, folder)
    await start(call, id)
    await call('registry.createKey', { id, key: KEY })
    await set(call, id, 'Meanwhile')
    program(folder, adding('First'))
    expect(await call('registry.takePrefix', { id, prefix: PREFIX })).toEqual({ changes: 2 })
    expect(await call('registry.takePrefix', { id, prefix: PREFIX })).toEqual({ changes: 0 })
    program(folder, adding('Second'))
    await call('domains.forceOff', { id })

    expect(await differences(call, id)).toEqual([
      'added Software\\First',
      'added Software\\First Made',
      'added Software\\Second',
      'added Software\\Second Made',
      'added Software\\Vivarium',
      'added Software\\Vivarium Meanwhile',
    ])
  })

  test('takes what nobody took before it is written again, as after an end of Vivarium', async () => {
    const { call, close, folder: home } = await openScripted()
    const folder = prefixFolder()
    const id = await withPrefix(call, folder)
    await start(call, id)
    program(folder, adding('Untaken'))
    await close()

    const again = await openScripted({}, home)
    await start(again.call, id)

    expect(read(folder)).toContain('"Made"="by a program"')
    expect(await differences(again.call, id)).toContain('added Software\\Untaken Made')
  })

  test('leaves a prefix of 32 bits one of 32 bits', async () => {
    const { call } = await openScripted()
    const folder = prefixFolder('win32')
    const id = await withPrefix(call, folder)
    await call('registry.writePrefix', { id, prefix: PREFIX })
    expect(read(folder)).toContain('#arch=win32')
  })

  test('is not written while it has nothing of what Wine needs; the domain starts all the same', async () => {
    const { call } = await openScripted()
    const folder = prefixFolder()
    const id = await scriptedDomain(call)
    await call('files.addShare', { id, folder, name: PREFIX.share, mode: 'direct' })
    await call('registry.update', { id, registry: { prefixes: [PREFIX] } })
    const before = read(folder)
    await expect(call('registry.writePrefix', { id, prefix: PREFIX })).rejects.toMatchObject({ kind: 'state' })

    await start(call, id)
    expect(read(folder)).toBe(before)
    expect(JSON.stringify(await call('log.read', { domainId: id }))).toContain('nothing below HKLM')
  })

  test('stays with a saved machine: its programs go on with what they have', async () => {
    const { call } = await openScripted()
    const folder = prefixFolder()
    const id = await withPrefix(call, folder)
    await start(call, id)
    program(folder, adding('Running'))
    await finish(call, call('domains.save', { id }))
    expect(await differences(call, id)).toEqual([])

    await start(call, id)
    await call('domains.forceOff', { id })
    expect(await differences(call, id)).toHaveLength(2)
  })
})
