import { spawnSync } from 'node:child_process'
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import { Elf } from '../../vmm/images/elf'
import { aliasTable, collectModules, dependencyTable } from '../../vmm/images/kernel-modules'
import { renewProgram } from '../../vmm/images/renew'
import { runProgram } from '../../vmm/images/program'
import { starterAvailability } from '../../vmm/images/starter'
import { StarterCache } from '../../vmm/images/starter-cache'
import { guestFiles } from '../../vmm/images/starter-guest'
import { UnpackedTree } from '../../vmm/images/unpacked'
import { temporaryFolder } from '../support/temporary-folder'

let home: string
beforeEach(() => {
  home = temporaryFolder()
})

/** An ELF file with the given sections; `.dynamic` refers to the section after it. */
function elf(sections: Record<string, Buffer>): Buffer {
  const names = ['', ...Object.keys(sections), '.shstrtab']
  const contents = [Buffer.alloc(0), ...Object.values(sections), Buffer.from(names.join('\0') + '\0')]
  const file = Buffer.alloc(52 + names.length * 40 + contents.reduce((sum, { length }) => sum + length, 0))
  file.write('7f454c46010101', 'hex')
  file.writeUInt32LE(52, 32)
  file.writeUInt16LE(40, 46)
  file.writeUInt16LE(names.length, 48)
  file.writeUInt16LE(names.length - 1, 50)
  let [nameAt, offset] = [0, 52 + names.length * 40]
  names.forEach((name, index) => {
    const at = 52 + index * 40
    const content = contents[index]!
    file.writeUInt32LE(nameAt, at)
    file.writeUInt32LE(index === 0 ? 0 : 1, at + 4)
    file.writeUInt32LE(offset, at + 16)
    file.writeUInt32LE(content.length, at + 20)
    file.writeUInt32LE(index + 1, at + 24)
    content.copy(file, offset)
    nameAt += name.length + 1
    offset += content.length
  })
  return file
}

function library(...needed: string[]): Buffer {
  const strings = Buffer.from(`\0${needed.join('\0')}\0`)
  const dynamic = Buffer.alloc(needed.length * 8)
  needed.forEach((name, index) => {
    dynamic.writeUInt32LE(1, index * 8)
    dynamic.writeUInt32LE(strings.indexOf(`${name}\0`), index * 8 + 4)
  })
  return elf({ '.dynamic': dynamic, '.dynstr': strings })
}

const moduleFile = (depends: string, alias: string) =>
  elf({ '.modinfo': Buffer.from(`alias=${alias}\0depends=${depends}\0`) })

describe('Elf', () => {
  it('reads needed libraries and module information', () => {
    expect(new Elf(library('libc.so.6', 'libm.so.6')).needed()).toEqual(['libc.so.6', 'libm.so.6'])
    expect(new Elf(moduleFile('a,b', 'pci:*')).moduleInfo('depends')).toEqual(['a,b'])
  })

  it('throws RangeError for every cut or changed file it cannot read', () => {
    const whole = library('libc.so.6')
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => new Elf(whole.subarray(0, length)).needed()).toThrow(RangeError)
    }
    for (let at = 0; at < whole.length; at += 1) {
      const changed = Buffer.from(whole)
      changed[at] = 0xff
      const outcome = attempt(() => new Elf(changed).needed())
      expect(outcome === undefined || outcome instanceof RangeError).toBe(true)
    }
  })
})

describe('kernel modules', () => {
  async function tree(): Promise<string> {
    await mkdir(join(home, 'kernel/drivers'), { recursive: true })
    await writeFile(join(home, 'modules.builtin'), 'kernel/lib/crc32.ko\n')
    await writeFile(join(home, 'kernel/drivers/net-card.ko'), moduleFile('ring,crc32', 'pci:1'))
    await writeFile(join(home, 'kernel/drivers/ring.ko'), moduleFile('core-bus', 'none'))
    await writeFile(join(home, 'kernel/drivers/core_bus.ko'), moduleFile('', 'none'))
    await writeFile(join(home, 'kernel/drivers/other.ko'), moduleFile('', 'none'))
    return home
  }

  it('come with all they depend on, dependencies first, built-in ones left out', async () => {
    const modules = await collectModules(await tree(), ['net_card'])
    expect(modules.map(({ name }) => name)).toEqual(['core_bus', 'ring', 'net_card'])
    expect(dependencyTable(modules)).toContain(
      'kernel/drivers/net-card.ko: kernel/drivers/ring.ko kernel/drivers/core_bus.ko\n',
    )
    expect(aliasTable(modules)).toContain('alias pci:1 net_card\n')
  })

  it('that are nowhere are refused by name', async () => {
    await expect(collectModules(await tree(), ['gone'])).rejects.toThrow(/no module 'gone'/)
  })
})

describe('UnpackedTree', () => {
  it('follows links inside the tree and never to the host', async () => {
    await mkdir(join(home, 'lib/i386-linux-gnu'), { recursive: true })
    await writeFile(join(home, 'lib/i386-linux-gnu/real.so'), 'content')
    await symlink('/lib/i386-linux-gnu/real.so', join(home, 'lib/absolute.so'))
    await symlink('../../../../../../../../../etc/passwd', join(home, 'lib/outside'))
    await symlink('loop', join(home, 'lib/loop'))
    const tree = new UnpackedTree(home)
    expect(String(await tree.read('lib/absolute.so'))).toBe('content')
    for (const path of ['lib/outside', 'lib/loop', 'lib/nothing', '../outside']) {
      expect(await tree.read(path)).toBeUndefined()
    }
  })

  it('finds libraries through libraries and names those that are missing', async () => {
    await mkdir(join(home, 'lib'), { recursive: true })
    await writeFile(join(home, 'program'), library('liba.so.1', 'libc.so.6'))
    await writeFile(join(home, 'lib/liba.so.1'), library('libb.so.2', 'libc.so.6'))
    await writeFile(join(home, 'lib/libc.so.6'), library('liba.so.1'))
    const { found, missing } = await new UnpackedTree(home).librariesOf('program')
    expect([...found.keys()].sort()).toEqual(['liba.so.1', 'libc.so.6'])
    expect(missing).toEqual(['libb.so.2'])
  })
})

describe('StarterCache', () => {
  const recipe = 'ab'.repeat(32)
  const names = ['kernel', 'initrd', 'bios.bin', 'vgabios.bin']
  const files = new Map(names.map((name) => [name, Buffer.from(`content of ${name}`)]))

  async function filled(): Promise<StarterCache> {
    const cache = new StarterCache(home, recipe)
    await cache.store(await cache.beginBuild(), files, ['linux 1'])
    return cache
  }

  it('finds what was stored, and only for the same recipe', async () => {
    const cache = await filled()
    expect(await cache.find()).toMatchObject({ recipe, packages: ['linux 1'] })
    expect(await new StarterCache(home, 'cd'.repeat(32)).find()).toBeUndefined()
  })

  it.each([...names, 'manifest.json'])('does not find it when %s is damaged, and can store it again', async (name) => {
    const cache = await filled()
    await chmod(join(cache.place, name), 0o600)
    await writeFile(join(cache.place, name), 'content OF kernel')
    expect(await cache.find()).toBeUndefined()
    await cache.store(await cache.beginBuild(), files, ['linux 1'])
    expect(await cache.find()).toBeDefined()
    expect(await readFile(join(cache.place, 'kernel'), 'utf8')).toBe('content of kernel')
  })

  it('removes what builders that died have left, and images of other recipes', async () => {
    const died = spawnSync(process.execPath, ['--version']).pid
    await mkdir(join(home, `building-${died}-0000`))
    await mkdir(join(home, 'starter-0123456789abcdef'))
    const cache = await filled()
    const left = await readdir(home)
    expect(left.filter((name) => !name.startsWith(`building-${process.pid}-`))).toEqual([
      `starter-${recipe.slice(0, 16)}`,
    ])
    expect(await cache.find()).toBeDefined()
  })
})

describe('the guest', () => {
  const guest = new Map(guestFiles().map((entry) => [entry.path, entry]))

  it('has a folder for every file, before it', () => {
    const seen = new Set<string>()
    for (const { path } of guestFiles()) {
      const parent = path.split('/').slice(0, -1).join('/')
      expect(parent === '' || seen.has(parent)).toBe(true)
      seen.add(path)
    }
  })

  it.each(['init', 'sbin/shutdown', 'usr/lib/vivarium/agent'])('%s is a valid script', (path) => {
    const entry = guest.get(path)
    const script = entry?.kind === 'file' ? String(entry.content) : ''
    expect(script).toMatch(/^#!\/bin\/sh\n/)
    const checked = spawnSync('sh', ['-n'], { input: script, encoding: 'utf8' })
    expect(checked.stderr).toBe('')
  })
})

describe('renew', () => {
  it('is one loadable i386 segment whose jumps stay inside it', () => {
    const program = renewProgram()
    expect(program.readUInt16LE(18)).toBe(3)
    expect(program.readUInt32LE(24) - program.readUInt32LE(60)).toBe(84)
    expect(program.readUInt32LE(68)).toBe(program.length)
    expect(program.toString('latin1').endsWith('/etc/machine-id\0/dev/urandom\0')).toBe(true)
  })
})

describe('runProgram', () => {
  it.skipIf(process.platform === 'win32')('ends the program and its children when cancelled', async () => {
    const abort = new AbortController()
    const started = performance.now()
    const work = runProgram('sh', ['-c', 'sleep 30 & sleep 30'], { signal: abort.signal })
    setTimeout(() => {
      abort.abort()
    }, 50)
    await expect(work).rejects.toMatchObject({ kind: 'cancelled' })
    expect(performance.now() - started).toBeLessThan(5000)
  })

  it('says which program this host lacks', async () => {
    await expect(runProgram('no-such-program', [])).rejects.toMatchObject({
      kind: 'unsupported',
      message: 'This host has no no-such-program.',
    })
  })
})

describe('starterAvailability', () => {
  it('says why not, with the next step, on a host without apt', async () => {
    const path = process.env['PATH']
    process.env['PATH'] = home
    try {
      const { buildable, reason } = await starterAvailability()
      expect(buildable).toBe(false)
      expect(reason).toMatch(/no apt-get.*Import a kernel/)
    } finally {
      process.env['PATH'] = path
    }
  })
})

function attempt(work: () => unknown): unknown {
  try {
    work()
    return undefined
  } catch (error) {
    return error
  }
}
