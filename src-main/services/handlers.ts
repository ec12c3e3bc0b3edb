import { setTimeout as delay } from 'node:timers/promises'
import { homedir } from 'node:os'
import type { AppView, EngineView, InterfaceView } from '../contract'
import { starterAvailability } from '../../vmm/images/starter'
import type { EngineCatalog } from '../../vmm/engine/catalog'
import type { CloneService } from './clones'
import type { DiskService } from './disks'
import type { Domain } from './domain'
import { capabilitiesView } from './domain-view'
import type { ConsoleService } from './consoles'
import type { DisplayService } from './displays'
import type { ExecService } from './execs'
import type { ExportService } from './exports'
import type { Handlers } from './call-handlers'
import { makeFileHandlers, type FileHandlerParts } from './file-handlers'
import type { Folders } from './folders'
import type { ImageService } from './images'
import type { Journal } from './journal'
import type { Lifecycle } from './lifecycle'
import { makeNetworkHandlers, type NetworkHandlerParts } from './network-handlers'
import { makeRegistryHandlers, type RegistryHandlerParts } from './registry-handlers'
import type { Remover } from './remover'
import type { Shell } from './services'
import type { SettingsService } from './settings'
import type { SnapshotService } from './snapshots'
import type { TaskService } from './tasks'
import type { TrashService } from './trash'
import type { UploadService } from './uploads'

export interface HandlerParts extends NetworkHandlerParts, FileHandlerParts, RegistryHandlerParts {
  shell: Shell
  version: string
  folders: Folders
  engines: EngineCatalog
  lifecycle: Lifecycle
  snapshots: SnapshotService
  clones: CloneService
  disks: DiskService
  exports: ExportService
  trash: TrashService
  images: ImageService
  uploads: UploadService
  tasks: TaskService
  consoles: ConsoleService
  displays: DisplayService
  execs: ExecService
  journal: Journal
  settings: SettingsService
  remover: Remover
}

const DONE = {}

/** How long a window that opens waits for an engine that is being tried, milliseconds. */
const SOON_MS = 100
/** Longer than any engine takes. */
const LONG = 10 * 60_000

export function makeHandlers(parts: HandlerParts): Handlers {
  const {
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
  } = parts
  return {
    'app.info': ({ wait }) => appInfo(parts, wait ? LONG : SOON_MS),
    'engines.probe': () => engineViews(parts.engines, { anew: true, withinMs: LONG }),
    'app.show': () => ({ url: parts.shell.show() }),
    'events.subscribe': ({ topics }, client) => {
      client.topics = new Set(topics)
      return DONE
    },

    'domains.list': () => domains.views(),
    'domains.get': ({ id }) => domains.view(domains.get(id)),
    'domains.create': async ({ spec, ephemeral }, client) => {
      const { volumes } = parts.domains.newSealing()
      parts.policies.requireEnforceable(spec.policy, { name: spec.name, volumes })
      const domain = await domains.create(spec, ephemeral)
      if (ephemeral) client.ephemeral.add(domain.id)
      if (ephemeral && client.signal.aborted) await remover.destroy(domain)
      return domains.view(domain)
    },
    'domains.update': async ({ id, patch }) => {
      const { name, group } = domains.get(id).record.spec
      const domain = await domains.update(id, patch)
      await parts.policies.follow(domain, { name, group })
      return domains.view(domain)
    },
    'domains.start': ({ id, cold }) => lifecycle.start(id, cold),
    'domains.pause': async ({ id }) => domains.view(await lifecycle.pause(id)),
    'domains.resume': async ({ id }) => domains.view(await lifecycle.resume(id)),
    'domains.shutdown': ({ id }) => lifecycle.shutDown(id),
    'domains.restart': ({ id }) => lifecycle.restart(id),
    'domains.save': ({ id }) => lifecycle.save(id),
    'domains.forceOff': async ({ id }) => domains.view(await lifecycle.forceOff(id)),
    'domains.discard': async ({ id }) => domains.view(await lifecycle.discard(id)),
    'domains.export': (wanted) => exports.export(wanted),
    'domains.clone': ({ id, name, linked }) => clones.clone(id, name, linked),
    'domains.setMemory': async ({ id, memoryMiB }) => domains.view(await lifecycle.setMemory(id, memoryMiB)),
    'domains.commandLine': async ({ id }) => ({ words: await lifecycle.commandLine(id) }),
    'domains.interfaces': ({ id }) => interfacesOf(domains.get(id)),

    'disks.list': ({ id }) => disks.list(id),
    'disks.add': async (wanted) => domains.view(await disks.add(wanted)),
    'disks.update': async (change) => domains.view(await disks.update(change)),
    'disks.resize': async (change) => domains.view(await disks.resize(change)),
    'disks.remove': async (which) => domains.view(await disks.remove(which)),
    'disks.repair': (which) => disks.repair(which),
    'domains.delete': async ({ id }) => {
      await trash.add(id)
      return DONE
    },
    'domains.load': ({ id }) => [...domains.get(id).load],

    'trash.list': () => trash.list(),
    'trash.restore': async ({ id }) => domains.view(await trash.restore(id)),
    'trash.empty': ({ ids }) => trash.empty(ids),

    'snapshots.list': ({ id }) => snapshots.list(id),
    'snapshots.create': ({ id, name, description, memory }) => snapshots.create(id, name, description, memory),
    'snapshots.revert': ({ id, snapshotId }) => snapshots.revert(id, snapshotId),
    'snapshots.rename': ({ id, snapshotId, name, description }) => snapshots.rename(id, snapshotId, name, description),
    'snapshots.delete': ({ id, snapshotId }) => snapshots.delete(id, snapshotId),

    'images.list': () => images.views(),
    'images.prepareStarter': () => images.prepareStarter(),
    'images.import': (args, client) => images.import(client, args),
    'images.uploadBegin': async ({ name, bytes }, client) => ({
      uploadId: await uploads.begin(client, name, bytes),
    }),
    'images.uploadChunk': async ({ uploadId, offset, bytes }, client) => {
      await uploads.chunk(client, uploadId, offset, bytes)
      return DONE
    },
    'images.remove': async ({ id }) => {
      await images.remove(id)
      return DONE
    },

    'tasks.list': () => tasks.list(),
    'tasks.wait': ({ id, waitMs }, client) => tasks.wait(id, waitMs, client.signal),
    'tasks.cancel': ({ id }) => tasks.cancel(id),

    'console.read': ({ id, offset, maxBytes, waitMs }, client) =>
      consoles.read(id, offset, maxBytes, waitMs, client.signal),
    'console.write': ({ id, bytes }) => {
      consoles.write(id, bytes)
      return DONE
    },
    'console.resize': ({ id, columns, rows }) => {
      consoles.resize(id, { columns, rows })
      return DONE
    },

    'display.open': async ({ id }, client) => ({ displayId: await displays.open(client, id) }),
    'display.read': ({ displayId, maxBytes, waitMs }, client) => displays.read(client, displayId, maxBytes, waitMs),
    'display.write': async ({ displayId, bytes }, client) => {
      await displays.write(client, displayId, bytes)
      return DONE
    },
    'display.close': ({ displayId }, client) => {
      displays.close(client, displayId)
      return DONE
    },
    'display.screenshot': ({ id, shot, offset }) => displays.screenshot(id, shot, offset),

    'exec.start': async ({ id, argv, stdin }, client) => ({ execId: await execs.start(client, id, argv, stdin) }),
    'exec.read': ({ execId, waitMs }, client) => execs.read(client, execId, waitMs, client.signal),
    'exec.stop': async ({ execId }, client) => {
      await execs.stop(client, execId)
      return DONE
    },

    'log.read': (query) => journal.read(query),

    'settings.get': () => settings.get(),
    'settings.update': (change) => settings.update(change),

    ...makeNetworkHandlers(parts),
    ...makeFileHandlers(parts),
    ...makeRegistryHandlers(parts),
  }
}

async function appInfo({ shell, version, folders, engines, images }: HandlerParts, withinMs: number): Promise<AppView> {
  const starter = images.starter()
  const { buildable, reason } = await starterAvailability()
  return {
    version,
    shell: shell.kind,
    platform: process.platform,
    engines: await engineViews(engines, { anew: false, withinMs }),
    dataFolder: folders.root,
    homeFolder: homedir(),
    starter: { ready: starter !== undefined, imageId: starter?.id ?? '', buildable, reason },
  }
}

/** What the engines can do here, as far as that is known when the time is over. */
async function engineViews(
  engines: EngineCatalog,
  { anew, withinMs }: { anew: boolean; withinMs: number },
): Promise<EngineView[]> {
  const views = engines.all().map(async (engine) => {
    const verdict = await Promise.race([engine.probe(anew), delay(withinMs, null, { ref: false })])
    const { id, name, isolation, capabilities } = engine
    const known = verdict ?? { works: false, reason: 'It is being tried on this host.', version: '', accelerators: [] }
    const accelerators = known.accelerators.map((accelerator) => ({ ...accelerator }))
    const can = capabilitiesView(capabilities)
    return { id, name, isolation, capabilities: can, ...known, accelerators, trying: verdict === null }
  })
  return await Promise.all(views)
}

/** Asked in passing: a guest whose agent does not answer just now has none to tell. */
async function interfacesOf(domain: Domain): Promise<InterfaceView[]> {
  const { run } = domain
  if (run?.agentState !== 'ready' || domain.record.state !== 'running') return []
  return await run.interfaces().catch(() => [])
}
