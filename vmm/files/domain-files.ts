import { mkdir, rename, rm } from 'node:fs/promises'
import path from 'node:path'
import { asVmmError, VmmError } from '../model/errors'
import type { Clock } from '../net/clock'
import { DomainVolumes } from '../disks/domain-volumes'
import type { VolumeStores } from '../disks/volume-stores'
import type { IoGate } from '../throttle/io-gate'
import type { AccessNotes } from './access-notes'
import { AttachedTrees } from './attached-trees'
import { DomainDoors } from './domain-doors'
import { DomainGates } from './domain-gates'
import type { HostTrees } from './host-trees'
import type { LockTable } from './ninep-locks'
import type { OverlayProvider } from './overlay'
import type {
  ChangesOutcome,
  DomainFilesConfig,
  FileChanges,
  FileSides,
  MeterReport,
  ShareConfig,
  ShareTroubles,
} from './files-protocol'
import type { Provider } from './provider'
import { DomainRegistry } from '../registry/domain-registry'
import type { RegistryCalls } from '../registry/registry-calls'
import type { Registry } from '../registry/registry-tree'
import type { RegistryNote } from '../registry/ruled-registry'
import { REGISTRY_TREE } from '../model/share'
import { readPrefix, writePrefix } from './wine-folder'
import { keptBytes, openShare, sameTree, type ShareTree } from './share-tree'
import { applyChanges, bothSides, discardChanges, listChanges, type ChangesWork } from './share-changes'

interface DomainFilesParts {
  clock: Clock
  trees: HostTrees
  locks: LockTable
  notes: AccessNotes
  volumes: VolumeStores
  /** The registry of another domain that is open. */
  other(domainId: string): Registry
}

/** Under which name a copy of the registry lies beside those of the shares. */
export const REGISTRY_COPY = 'registry'

/** The files of one domain: its shares under its rules and rates, and the doors at which its guest asks for them. */
export class DomainFiles {
  readonly #trees = new Map<string, ShareTree>()
  readonly #gates: DomainGates
  readonly #doors: DomainDoors
  readonly #volumes: DomainVolumes
  #registry: DomainRegistry | null = null
  readonly #attached: AttachedTrees
  /** Names of the rules for the registry, in their order. */
  #registryRules: readonly string[] = []
  /** One change after the other. */
  #turn: Promise<unknown> = Promise.resolve()

  constructor(
    readonly domainId: string,
    private readonly parts: DomainFilesParts,
  ) {
    this.#gates = new DomainGates(parts.clock)
    this.#volumes = new DomainVolumes(domainId, (device) => this.#gates.gate(device))
    this.#attached = new AttachedTrees(domainId, parts)
    this.#doors = new DomainDoors({
      clock: parts.clock,
      locks: parts.locks,
      tree: (aname) => this.#attached.get(aname),
      gate: (aname) => this.#gates.gate(`share:${aname}`),
      lockScope: (aname, provider) => this.#byName(aname)?.provider ?? provider,
    })
  }

  configure(config: DomainFilesConfig, group: IoGate | null): Promise<ShareTroubles> {
    return this.#inTurn(async () => {
      this.#registryRules = config.registryRules.map(({ name }) => name)
      this.#gates.set(config.limits, devicesOf(config), group)
      const troubles = await this.#openShares(config)
      await this.#openRegistry(config)
      this.#show(config)
      await this.#doors.set(config.doors)
      await this.#volumes.set(config.volumes, (folder) => this.parts.volumes.at({ folder, key: config.key }))
      return troubles
    })
  }

  close(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#doors.set(null)
      await this.#volumes.close()
      for (const id of [...this.#trees.keys()]) await this.#closeShare(id)
      await this.#registry?.close()
      this.#registry = null
      this.#attached.close()
    })
  }

  /** What is asked for is answered first. Each copy is whole or absent. */
  snapshot(folder: string): Promise<void> {
    return this.#inTurn(async () => {
      await this.#doors.drain()
      for (const { config, overlay } of this.#trees.values()) {
        if (!overlay) continue
        const partial = path.join(folder, `${config.id}.partial`)
        await rm(partial, { recursive: true, force: true })
        await mkdir(folder, { recursive: true, mode: 0o700 })
        await overlay.snapshot(partial)
        await rename(partial, path.join(folder, config.id))
      }
      if (this.#registry) await copyRegistry(this.#registry, path.join(folder, REGISTRY_COPY))
    })
  }

  get registry(): Registry {
    return this.#openedRegistry().registry
  }

  async callRegistry<K extends keyof RegistryCalls>(
    name: K,
    args: Parameters<RegistryCalls[K]>,
  ): Promise<Awaited<ReturnType<RegistryCalls[K]>>> {
    const registry = this.#openedRegistry()
    const call = registry[name] as (...all: Parameters<RegistryCalls[K]>) => ReturnType<RegistryCalls[K]>
    return await call.apply(registry, args)
  }

  keptBytes(): Record<string, number> {
    const kept = [...this.#trees.values()].filter(({ overlay }) => overlay !== null)
    return Object.fromEntries(kept.map(({ config }) => [config.id, keptBytes(config.overlay)]))
  }

  changes(shareId: string, under: string, limit: number): Promise<FileChanges> {
    return this.#inTurn(() => Promise.resolve(listChanges(this.#overlay(shareId), under, limit)))
  }

  sides(shareId: string, key: string, limit: number): Promise<FileSides> {
    return this.#inTurn(() => Promise.resolve(bothSides(this.#overlay(shareId), key, limit)))
  }

  apply(shareId: string, keys: readonly string[], force: boolean, work: ChangesWork): Promise<ChangesOutcome> {
    const { config } = this.#tree(shareId)
    return applyChanges(this.#overlay(shareId), { folder: config.folder, keys, force }, work)
  }

  discard(shareId: string, keys: readonly string[], work: ChangesWork): Promise<ChangesOutcome> {
    return discardChanges(this.#overlay(shareId), keys, work)
  }

  /** Copies the layers of served disks, by their ids. */
  copyVolumes(copies: Readonly<Record<string, string>>): Promise<void> {
    return this.#inTurn(() => this.#volumes.copy(copies))
  }

  meters(): MeterReport[] {
    return this.#gates.meters(this.domainId)
  }

  async #openRegistry({ registry, key }: DomainFilesConfig): Promise<void> {
    if (registry && this.#registry) {
      this.#registry.stand(registry)
      return
    }
    await this.#registry?.close()
    this.#registry =
      registry &&
      new DomainRegistry(registry, key, {
        other: (domainId) => this.parts.other(domainId),
        readPrefix: ({ share, path: at }) => readPrefix(this.#requireTree(share), at),
        writePrefix: ({ share, path: at }, files) => writePrefix(this.#requireTree(share), at, files),
      })
  }

  #openedRegistry(): DomainRegistry {
    if (this.#registry) return this.#registry
    throw new VmmError('state', 'The registry of this domain is not open.', { hint: 'Try again.' })
  }

  #requireTree(share: string): Provider {
    const tree = this.#byName(share)
    if (tree) return tree.provider
    throw new VmmError('not-found', `There is no open share called ${share}.`, { hint: 'Attach it first.' })
  }

  async #openShares({ shares, key }: DomainFilesConfig): Promise<ShareTroubles> {
    for (const [id, { config }] of [...this.#trees]) {
      const wanted = shares.find((share) => share.id === id)
      if (!wanted || !sameTree(wanted, config)) await this.#closeShare(id)
    }
    const troubles: ShareTroubles = {}
    for (const config of shares) troubles[config.id] = this.#openShare(config, key)
    return troubles
  }

  #openShare(config: ShareConfig, key: Uint8Array | null): string {
    const open = this.#trees.get(config.id)
    if (open) {
      open.config = config
      return ''
    }
    try {
      this.#trees.set(config.id, openShare(config, key, this.parts.trees))
      return ''
    } catch (error) {
      const { message, hint } = asVmmError(error, `open the share ${config.name}`)
      return `${message} ${hint}`.trim()
    }
  }

  async #closeShare(id: string): Promise<void> {
    const tree = this.#trees.get(id)
    if (!tree) return
    this.#trees.delete(id)
    await tree.close()
  }

  #show({ rules, registry, registryRules, once }: DomainFilesConfig): void {
    const shares = new Map([...this.#trees.values()].map(({ config, provider }) => [config.name, provider]))
    const others = new Map<string, Provider>()
    if (registry?.served && this.#registry) {
      const tree = this.#registry.tree(registryRules, once.registry, (noted) => this.#noteKey(noted))
      others.set(REGISTRY_TREE, tree)
    }
    this.#attached.rule(rules, once.files)
    this.#attached.show(shares, others)
  }

  #noteKey({ use, path, verdict, refused }: RegistryNote): void {
    const { domainId } = this
    const { rule } = verdict
    const noted = { domainId, kind: 'registry', share: '', path, operation: use, count: 1 } as const
    if (refused) this.parts.notes.add({ ...noted, action: 'deny', rule, index: this.#placeOf(rule) })
    for (const name of verdict.logged)
      this.parts.notes.add({ ...noted, action: 'log', rule: name, index: this.#placeOf(name) })
  }

  /** Of a rule for the registry, in the policy. */
  #placeOf(rule: string): number {
    return this.#registryRules.indexOf(rule)
  }

  #byName(name: string): ShareTree | undefined {
    return [...this.#trees.values()].find(({ config }) => config.name === name)
  }

  #tree(shareId: string): ShareTree {
    const tree = this.#trees.get(shareId)
    if (tree) return tree
    throw new VmmError('state', 'This share is not open.', { hint: 'Look at its state: it tells why.' })
  }

  #overlay(shareId: string): OverlayProvider {
    const { overlay } = this.#tree(shareId)
    if (overlay) return overlay
    throw new VmmError('state', 'This share keeps no changes.', { hint: 'Only copy-on-write shares do.' })
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }
}

/** Whom a limit can be for. */
function devicesOf({ shares, volumes }: DomainFilesConfig): string[] {
  return [...shares.map(({ name }) => `share:${name}`), ...(volumes?.disks.map(({ id }) => id) ?? [])]
}

/** Whole or absent. */
async function copyRegistry(registry: DomainRegistry, folder: string): Promise<void> {
  const partial = `${folder}.partial`
  await rm(partial, { recursive: true, force: true })
  await mkdir(partial, { recursive: true, mode: 0o700 })
  registry.store.snapshot(partial)
  await rename(partial, folder)
}
