import { stat } from 'node:fs/promises'
import path from 'node:path'
import type { CheckedArgs, RegistryView, TaskView } from '../contract'
import type { RegistryCalls, Since } from '../../vmm/registry/registry-calls'
import type { WinePrefix } from '../../vmm/model/registry'
import { REGISTRY_ROOTS } from '../../vmm/model/policy-registry'
import { asVmmError, VmmError } from '../../vmm/model/errors'
import type { Domain } from './domain'
import type { DomainService } from './domains'
import type { FileService } from './files'
import type { Folders } from './folders'
import type { HiveService } from './hives'
import type { Journal } from './journal'
import type { TaskService } from './tasks'
import type { UploadService } from './uploads'

interface RegistriesParts {
  domains: DomainService
  files: FileService
  folders: Folders
  hives: HiveService
  journal: Journal
  tasks: TaskService
  uploads: UploadService
}

/** The virtual Windows registries of domains. */
export class RegistryService {
  constructor(private readonly parts: RegistriesParts) {}

  async view(id: string): Promise<RegistryView> {
    const domain = this.parts.domains.get(id)
    const { registry } = domain.record.spec
    const changes = await this.ask(id, 'count')
    return { id, ...registry, roots: [...REGISTRY_ROOTS], changes, mountedAt: this.parts.files.registryMount(id) }
  }

  async update({ id, registry }: CheckedArgs<'registry.update'>): Promise<RegistryView> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const given = Object.fromEntries(Object.entries(registry).filter(([, value]) => value !== undefined))
    const wanted = { ...domain.record.spec.registry, ...given }
    for (const { hiveId } of wanted.hives) this.parts.hives.require(hiveId, domain.record.keyId)
    await this.#store(domain, wanted)
    await this.parts.journal.info(id, 'registry.changed', `The parts of the registry of ${domain.name} were changed.`)
    return await this.view(id)
  }

  /** Asks the registry of a domain, opened for it where need be. */
  async ask<K extends keyof RegistryCalls>(
    id: string,
    name: K,
    ...args: Parameters<RegistryCalls[K]>
  ): Promise<Awaited<ReturnType<RegistryCalls[K]>>> {
    const domain = this.parts.domains.get(id)
    await this.parts.files.open(domain)
    return (await this.parts.files.files.ask('registry', id, name, args)) as Awaited<ReturnType<RegistryCalls[K]>>
  }

  /** The same for a change, which clients are told of. */
  async change<K extends keyof RegistryCalls>(
    id: string,
    name: K,
    ...args: Parameters<RegistryCalls[K]>
  ): Promise<void> {
    this.parts.domains.forVerb(id, 'settings')
    await this.ask(id, name, ...args)
    this.parts.files.publishRegistry(id)
  }

  /** Has open what a comparison needs. */
  async since(id: string, since: CheckedArgs<'registry.diff'>['since']): Promise<Since> {
    if ('base' in since) return since
    if ('domainId' in since) {
      await this.parts.files.open(this.parts.domains.get(since.domainId))
      return since
    }
    const snapshot = this.parts.domains.snapshots.get(since.snapshotId)
    if (snapshot?.domainId !== id) {
      throw new VmmError('not-found', 'There is no such snapshot.', { hint: 'Look at the list of snapshots.' })
    }
    return { folder: path.join(this.parts.folders.snapshot(id, since.snapshotId).files, 'registry') }
  }

  async exportTo(wanted: CheckedArgs<'registry.export'>): Promise<TaskView> {
    const { id, what, key, format, path: file, replace } = wanted
    const domain = this.parts.domains.get(id)
    if (!replace && (await exists(file))) {
      throw new VmmError('conflict', 'There is a file of that name already.', {
        hint: 'Replace it, or choose another name.',
      })
    }
    if (what === 'branch' && key === '') {
      throw new VmmError('invalid', 'Which branch should be written?', { hint: 'Name its key.' })
    }
    if (what === 'diff' && format === 'regf') {
      throw new VmmError('unsupported', 'A hive cannot hold what was deleted.', { hint: 'Write the diff as .reg.' })
    }
    const since = await this.since(id, wanted.since)
    return await this.parts.tasks.start({
      kind: 'registry.export',
      title: `Writing the registry of ${domain.name}`,
      domainId: id,
      work: async () => {
        await this.ask(id, 'exportTo', what === 'branch' ? { branch: key } : { since }, format, file)
        await this.parts.journal.info(id, 'registry.exported', `The registry of ${domain.name} was written to ${file}.`)
        return undefined
      },
    })
  }

  /** `owner` is the client whose upload it may be. */
  async importFrom({ id, source, as, key, name }: CheckedArgs<'registry.import'>, owner: object): Promise<TaskView> {
    const domain = this.parts.domains.forVerb(id, 'settings')
    const file = 'path' in source ? source.path : this.parts.uploads.path(owner, source.uploadId)
    const title = name ?? path.basename(file)
    return await this.parts.tasks.start({
      kind: 'registry.import',
      title: `Reading ${title} into the registry of ${domain.name}`,
      domainId: id,
      work: async () => {
        try {
          if (as === 'hive') return await this.#importHives(domain, file, key, title)
          await this.#importChanges(domain, file, key)
          return undefined
        } finally {
          if ('uploadId' in source) await this.parts.uploads.discard(source.uploadId)
        }
      },
    })
  }

  /** Before a machine starts: its Wine prefixes get the registry. */
  async writePrefixes(domain: Domain): Promise<void> {
    for (const prefix of domain.record.spec.registry.prefixes) {
      await this.#unlessTrouble(domain, prefix, () => this.ask(domain.id, 'writePrefix', prefix))
    }
  }

  /** After it has ended: what programs changed there comes back. */
  async takePrefixes(domain: Domain): Promise<void> {
    const { prefixes } = domain.record.spec.registry
    if (prefixes.length === 0) return
    for (const prefix of prefixes) {
      await this.#unlessTrouble(domain, prefix, async () => {
        const changes = await this.ask(domain.id, 'takePrefix', prefix, false)
        const words = `${changes} changes of the registry came back from the Wine prefix ${prefix.share}:${prefix.path}.`
        await this.parts.journal.info(domain.id, 'registry.prefix-taken', words)
      })
    }
    this.parts.files.publishRegistry(domain.id)
  }

  async #importChanges(domain: Domain, file: string, key: string): Promise<void> {
    const count = await this.ask(domain.id, 'importChanges', file, key)
    await this.parts.journal.info(
      domain.id,
      'registry.imported',
      `${count} entries were read into the registry of ${domain.name}.`,
    )
    this.parts.files.publishRegistry(domain.id)
  }

  async #importHives(domain: Domain, file: string, key: string, name: string): Promise<string | undefined> {
    const imported = await this.ask(domain.id, 'importHives', file, key)
    await this.parts.hives.add(imported, name, domain.record.keyId)
    const { registry } = domain.record.spec
    const others = registry.hives.filter(
      ({ at }) => !imported.some((hive) => hive.at.toLowerCase() === at.toLowerCase()),
    )
    const hives = [...others, ...imported.map(({ id, at }) => ({ hiveId: id, at }))]
    await this.#store(domain, { ...registry, hives })
    await this.parts.journal.info(
      domain.id,
      'registry.hive-added',
      `${name} is part of the registry of ${domain.name} now.`,
    )
    return imported[0]?.id
  }

  async #store(domain: Domain, registry: Domain['record']['spec']['registry']): Promise<void> {
    await this.parts.domains.store(domain, ({ spec }) => ({ spec: { ...spec, registry } }))
    await this.parts.files.follow(domain)
    this.parts.files.publishRegistry(domain.id)
  }

  async #unlessTrouble(domain: Domain, { share, path: at }: WinePrefix, work: () => Promise<unknown>): Promise<void> {
    try {
      await work()
    } catch (error) {
      const { message } = asVmmError(error, 'use the Wine prefix')
      await this.parts.journal.warning(domain.id, 'registry.prefix-trouble', `${share}:${at}: ${message}`)
    }
  }
}

async function exists(file: string): Promise<boolean> {
  return await stat(file).then(
    () => true,
    () => false,
  )
}
