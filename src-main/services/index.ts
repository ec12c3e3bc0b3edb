import packageJson from '../../package.json'
import type { CallName } from '../contract'
import { CALLS } from '../contract'
import { parseOrRefuse } from '../../vmm/model/domain'
import { toFailure, VmmError } from '../../vmm/model/errors'
import { safeText } from '../../vmm/model/safe-text'
import { EngineCatalog } from '../../vmm/engine/catalog'
import { Storage } from '../../storage'
import { AddressBook } from './addresses'
import { BootSnapshots } from './boot-snapshots'
import { Broadcast } from './broadcast'
import { CaptureService } from './captures'
import { CloneService } from './clones'
import { ConsoleService } from './consoles'
import { DiskService } from './disks'
import { DiskLayers } from './disk-layers'
import type { Domain } from './domain'
import { DisplayService } from './displays'
import { DomainService } from './domains'
import { ExecService } from './execs'
import { ExportService } from './exports'
import { FileService } from './files'
import { Folders } from './folders'
import type { Handlers } from './call-handlers'
import { makeHandlers } from './handlers'
import { HiveService } from './hives'
import { ImageService } from './images'
import { Journal } from './journal'
import { KeyService } from './keys'
import { Lifecycle } from './lifecycle'
import { MirrorService } from './mirrors'
import { NetworkService } from './networks'
import { PolicyService } from './policies'
import { recover, sweepVolumes } from './recovery'
import { RegistryService } from './registries'
import { Remover } from './remover'
import type { Services, ServicesOptions, Session } from './services'
import { ClientSession } from './session'
import { SettingsService } from './settings'
import { ShareChanges } from './share-changes'
import { ShareService } from './shares'
import { SnapshotService } from './snapshots'
import { Supervisor } from './supervisor'
import { TaskService } from './tasks'
import { TrashService } from './trash'
import { UploadService } from './uploads'

export type { Services, ServicesOptions, Session, Shell } from './services'

/** Opens the data folder, mends what an unannounced end left, and answers calls until it is closed. */
export async function openServices(options: ServicesOptions): Promise<Services> {
  const folders = new Folders(options.dataFolder)
  await folders.make()
  const storage = await Storage.open(options.dataFolder)
  try {
    return await assemble(options, folders, storage)
  } catch (error) {
    await storage.close()
    throw error
  }
}

async function assemble(
  { spawnGuest, spawnNetwork, spawnFiles, keychain, shell }: ServicesOptions,
  folders: Folders,
  storage: Storage,
): Promise<Services> {
  const broadcast = new Broadcast()
  const journal = new Journal(storage, broadcast)
  const tasks = new TaskService(storage, broadcast)
  const settings = new SettingsService(storage, broadcast)
  const engines = new EngineCatalog(spawnGuest, folders)
  const uploads = new UploadService(folders)
  const images = new ImageService({ storage, broadcast, journal, folders, tasks, uploads })
  const keys = new KeyService({ folder: folders.root, keychain, broadcast, journal })
  const newSealing = () => {
    const { sealing, sealDisks } = settings.get()
    return sealing ? { keyId: keys.current, volumes: sealDisks } : { keyId: '', volumes: false }
  }
  const domains: DomainService = new DomainService({
    storage,
    broadcast,
    journal,
    folders,
    engines,
    images,
    newSealing,
  })
  const bootSnapshots = new BootSnapshots(folders, images)
  const consoles = new ConsoleService(domains)
  const displays = new DisplayService(domains)
  const execs = new ExecService(domains)
  const addresses = new AddressBook(storage)
  const networks = new NetworkService({ domains, addresses, broadcast, journal, spawnNetwork })
  const files = new FileService({ domains, engines, folders, images, broadcast, journal, keys, settings, spawnFiles })
  const layers = new DiskLayers({ engines, folders, keys, files: files.files })
  const policies = new PolicyService({ domains, addresses, networks, files, journal })
  const mirrors = new MirrorService({ storage, domains, networks, journal })
  const captures = new CaptureService({ storage, domains, folders, networks, journal })
  const hives = new HiveService({ storage, folders, domains })
  const registries = new RegistryService({ domains, files, folders, hives, journal, tasks, uploads })
  const forget = async (domainId: string) => {
    await files.forget(domainId)
    await networks.forget(domainId)
    await mirrors.forget(domainId)
  }
  const remover = new Remover({ storage, folders, domains, layers, images, forget })
  const supervisor = new Supervisor({
    ...{ domains, broadcast, journal, bootSnapshots, consoles, remover, networks, files, registries },
  })
  const lifecycle = new Lifecycle(
    { domains, engines, images, bootSnapshots, files, registries, folders, journal, tasks },
    supervisor,
  )
  const snapshots = new SnapshotService({
    storage,
    domains,
    engines,
    files,
    layers,
    folders,
    journal,
    tasks,
    lifecycle,
  })
  const clones = new CloneService({ domains, engines, files, folders, images, layers, journal, snapshots, tasks })
  const disks = new DiskService({ domains, engines, folders, images, layers, journal, tasks })
  const exports = new ExportService({ domains, folders, images, layers, journal, tasks })
  const shares = new ShareService({ domains, files, folders, journal })
  const shareChanges = new ShareChanges({ domains, files, shares, journal, tasks })
  const trash = new TrashService({ storage, domains, folders, journal, remover, tasks })

  await settings.load()
  await keys.load()
  await tasks.recover()
  await images.load()
  await domains.load()
  await addresses.load()
  await mirrors.load()
  await captures.load()
  await hives.load()
  networks.onReport = (report) => {
    mirrors.take(report)
    captures.take(report)
  }
  networks.onRestart = () => captures.lost()
  settings.follow(({ dnsServers }) => networks.askNamesOf(dnsServers))
  settings.follow(() => void files.refreshAll())
  await recover({ storage, engines, folders, domains, layers, keys, images, journal, remover, supervisor })

  keys.beforeUnlock = (keyOf) => sweepVolumes({ storage, folders, layers, journal }, keyOf).catch(report)
  keys.onUnlock = () => void files.refreshAll()

  const handlers = makeHandlers({
    shell,
    version: packageJson.version,
    folders,
    engines,
    domains,
    lifecycle,
    snapshots,
    clones,
    disks,
    exports,
    trash,
    images,
    uploads,
    tasks,
    consoles,
    displays,
    execs,
    journal,
    settings,
    remover,
    addresses,
    networks,
    policies,
    mirrors,
    captures,
    files,
    shares,
    shareChanges,
    keys,
    hives,
    registries,
  })
  const clients = new Set<ClientSession>()
  let closed = false
  const outlivesMain = ({ record }: Domain) => engines.get(record.spec.engine).capabilities.outlivesMain

  const leave = async (client: ClientSession) => {
    if (!clients.delete(client)) return
    client.close()
    execs.stopOf(client)
    displays.stopOf(client)
    await uploads.discardOf(client)
    for (const domain of domains.all()) {
      if (!client.ephemeral.has(domain.id)) continue
      domains.unlist(domain.id) // nobody may begin anything with it now
      await lifecycle.cutOff(domain)
      await remover.destroy(domain)
    }
  }

  return {
    attach: (send): Session => {
      const client = new ClientSession()
      const remove = broadcast.add({
        get topics() {
          return client.topics
        },
        send,
      })
      clients.add(client)
      return {
        call: async (name, args) => (closed ? CLOSED : await answer(handlers, name, args, client)),
        close: () => {
          remove()
          leave(client).catch(report)
        },
      }
    },
    busy: () => {
      const live = domains.all().filter((domain) => domain.run !== null)
      const outliving = live.filter(outlivesMain).length
      return { machines: live.length - outliving, outliving, tasks: tasks.running, clients: clients.size }
    },
    close: async () => {
      closed = true
      for (const client of [...clients]) await leave(client).catch(report)
      await tasks.abortAll()
      for (const domain of domains.all()) {
        const { run } = domain
        domain.run = null
        if (run && outlivesMain(domain)) {
          await run.machine.release()
          continue
        }
        await run?.kill()
        await domain.ending
        if (!run) continue
        await domains.observe(domain, { state: 'off', stateReason: '' })
        await journal
          .info(domain.id, 'domain.forced-off', `${domain.name} was forced off because Vivarium was closed.`)
          .catch(report)
      }
      await files.files.close()
      await networks.network.close()
      await storage.close()
    },
  }
}

const CLOSED = {
  ok: false as const,
  failure: toFailure(new VmmError('cancelled', 'Vivarium is closing.', { hint: 'Start it again.' })),
}

function report(error: unknown): void {
  console.error('vivarium: not all could be cleaned up:', error)
}

/** Checks the name and the arguments, whatever the client, and puts the outcome in an envelope. */
async function answer(handlers: Handlers, name: unknown, args: unknown, client: ClientSession) {
  try {
    if (!isCall(name)) {
      const shown = typeof name === 'string' ? safeText(name, 100) : typeof name
      throw new VmmError('invalid', 'There is no such call.', { hint: 'Update the client.', context: { name: shown } })
    }
    const checked = parseOrRefuse(CALLS[name].args, args ?? {}, nounFor(name))
    const handler = handlers[name] as (args: unknown, client: ClientSession) => unknown
    return { ok: true as const, value: await handler(checked, client) }
  } catch (error) {
    return { ok: false as const, failure: toFailure(error) }
  }
}

function isCall(name: unknown): name is CallName {
  return typeof name === 'string' && Object.hasOwn(CALLS, name)
}

function nounFor(name: CallName): string {
  return name === 'domains.create' ? 'domain spec' : `request '${name}'`
}
