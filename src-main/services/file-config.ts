import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import type { OnceView } from '../contract'
import { disksAddress, filesAddress, runFolder } from '../../vmm/engine/run-folder'
import type { ServedVolumes } from '../../vmm/disks/volume-calls'
import type { DomainFilesConfig } from '../../vmm/files/files-protocol'
import type { GuestRun } from '../../vmm/machine/guest-run'
import { NO_RATES, type IoRates } from '../../vmm/model/policy-io'
import type { Domain } from './domain'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { KeyService } from './keys'
import { servedDisks } from './machine-spec'
import type { SettingsService } from './settings'

interface ConfigParts {
  folders: Folders
  images: ImageService
  keys: KeyService
  settings: SettingsService
}

/** Puts together what the file process is told of a domain. */
export class FileConfigs {
  constructor(private readonly parts: ConfigParts) {}

  /** `machine`: whether one uses, or is about to use, the domain's disks. */
  async of(domain: Domain, once: OnceView, machine: boolean): Promise<DomainFilesConfig> {
    const { id, record } = domain
    const { shares, policy, group } = record.spec
    const volumes = machine && record.volumes ? await this.#volumes(domain) : null
    const rates = group === '' ? null : (this.groupRates(group) ?? NO_RATES)
    return {
      domainId: id,
      key: this.#key(domain, volumes !== null),
      shares: shares
        .filter(({ attached }) => attached)
        .map((share) => ({ ...share, overlay: this.parts.folders.share(id, share.id) })),
      rules: policy.files.rules,
      registryRules: policy.registry.rules,
      once,
      limits: policy.limits.io,
      group: rates && { name: group, rates },
      registry: this.#isLocked(domain) ? null : this.#registry(domain),
      doors: domain.run ? await this.#doors(domain, domain.run) : null,
      volumes,
    }
  }

  /** Whether anything of the guest's is kept beside its disks. */
  keeps({ id, record: { spec } }: Domain): boolean {
    const { hives, served } = spec.registry
    const hasRegistry = hives.length > 0 || served || existsSync(this.parts.folders.registry(id))
    return hasRegistry || spec.shares.some(({ mode }) => mode === 'copy-on-write')
  }

  groupRates(name: string): IoRates | null {
    const found = this.parts.settings.get().groupLimits.find(({ group }) => group === name)
    if (!found) return null
    const { group: _, ...rates } = found
    return rates
  }

  #registry({ id, record }: Domain): NonNullable<DomainFilesConfig['registry']> {
    const { hives, served } = record.spec.registry
    return {
      folder: this.parts.folders.registry(id),
      hivesFolder: this.parts.folders.hivesOf(record.keyId),
      hives: hives.map(({ hiveId, at }) => ({ id: hiveId, at })),
      served,
    }
  }

  /** What keeps nothing of the guest's can be had without the key. */
  #key(domain: Domain, hasVolumes: boolean): Uint8Array | null {
    return this.#isLocked(domain) && !this.keeps(domain) && !hasVolumes
      ? null
      : this.parts.keys.key(domain.record.keyId)
  }

  #isLocked({ record }: Domain): boolean {
    return record.keyId !== '' && this.parts.keys.view().locked
  }

  async #doors(domain: Domain, { machine }: GuestRun): Promise<DomainFilesConfig['doors']> {
    const folder = await this.#runFolder(domain)
    return { listen: filesAddress(folder), card: machine.filesCard }
  }

  async #volumes(domain: Domain): Promise<ServedVolumes> {
    const { folders } = this.parts
    const disks = await servedDisks(domain, this.parts)
    return {
      folder: folders.volumesOf(domain.record.keyId),
      socket: disksAddress(await this.#runFolder(domain)),
      disks,
    }
  }

  async #runFolder({ id }: Domain): Promise<string> {
    const folder = await runFolder(this.parts.folders.run, id)
    await mkdir(folder, { recursive: true, mode: 0o700 })
    return folder
  }
}

/** Whether a guest has anything to ask the file process for. */
export function hasFiles({ record: { spec } }: Domain): boolean {
  return spec.shares.length > 0 || spec.registry.hives.length > 0 || spec.registry.served
}
