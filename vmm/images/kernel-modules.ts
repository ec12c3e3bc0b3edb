import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { VmmError } from '../model/errors'
import { Elf } from './elf'

export interface KernelModule {
  /** As modprobe takes it: with '_' for '-'. */
  name: string
  /** Relative to the release's folder, such as 'kernel/fs/9p/9p.ko'. */
  path: string
  content: Buffer
  dependsOn: string[]
  aliases: string[]
}

/**
 * The modules named in `wanted` and all that they depend on, each after its dependencies. What a module depends
 * on is read from the module itself, where depmod too finds it; a package holds no modules.dep.
 * `folder` is the release's folder, such as lib/modules/6.1.0-50-686.
 */
export async function collectModules(folder: string, wanted: readonly string[]): Promise<KernelModule[]> {
  const paths = await findModules(folder)
  const builtIn = new Set((await readFile(join(folder, 'modules.builtin'), 'utf8')).split('\n').map(moduleName))
  const collected = new Map<string, KernelModule>()
  const visit = async (name: string, neededBy: string): Promise<void> => {
    if (collected.has(name) || builtIn.has(name)) return
    const path = paths.get(name)
    if (path === undefined) {
      throw new VmmError('unsupported', `The kernel package has no module '${name}', which ${neededBy} needs.`, {
        context: { folder },
      })
    }
    const module = await readModule(folder, name, path)
    for (const dependency of module.dependsOn) await visit(dependency, name)
    collected.set(name, module)
  }
  for (const name of wanted) await visit(name, 'the starter image')
  return [...collected.values()]
}

/** The text of modules.dep: each module's path, then the paths of all that must be loaded before it, nearest first. */
export function dependencyTable(modules: readonly KernelModule[]): string {
  const byName = new Map(modules.map((module) => [module.name, module]))
  const before = (module: KernelModule): KernelModule[] => {
    const direct = module.dependsOn.flatMap((name) => byName.get(name) ?? [])
    return [...new Set([...direct, ...direct.flatMap(before)])]
  }
  return modules
    .map((module) => `${[`${module.path}:`, ...before(module).map(({ path }) => path)].join(' ')}\n`)
    .join('')
}

/** The text of modules.alias. */
export function aliasTable(modules: readonly KernelModule[]): string {
  return modules.flatMap(({ name, aliases }) => aliases.map((alias) => `alias ${alias} ${name}\n`)).join('')
}

async function readModule(folder: string, name: string, path: string): Promise<KernelModule> {
  const content = await readFile(join(folder, path))
  const elf = new Elf(content)
  const dependsOn = elf
    .moduleInfo('depends')
    .flatMap((list) => list.split(','))
    .filter((other) => other !== '')
  return { name, path, content, dependsOn: dependsOn.map(moduleName), aliases: elf.moduleInfo('alias') }
}

async function findModules(folder: string): Promise<Map<string, string>> {
  const found = new Map<string, string>()
  const walk = async (relative: string): Promise<void> => {
    for (const entry of await readdir(join(folder, relative), { withFileTypes: true })) {
      const path = `${relative}/${entry.name}`
      if (entry.isDirectory()) await walk(path)
      else if (entry.name.endsWith('.ko')) found.set(moduleName(path), path)
    }
  }
  await walk('kernel')
  return found
}

function moduleName(path: string): string {
  return path
    .slice(path.lastIndexOf('/') + 1)
    .replace(/\.ko$/, '')
    .replaceAll('-', '_')
}
