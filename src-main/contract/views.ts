import * as v from 'valibot'
import { DOMAIN_STATES, ENGINE_IDS, ISOLATIONS, NameSchema } from '../../vmm/model/domain'
import { FAILURE_KINDS } from '../../vmm/model/errors'
import {
  ACCELERATORS,
  DISK_BUSES,
  DiskLimitsSchema,
  FIRMWARES,
  HARDWARE_ENTRIES,
  MACHINE_TYPES,
} from '../../vmm/model/hardware'
import { IMAGE_KINDS } from '../../vmm/model/image'
import { DnsServerSchema } from '../../vmm/model/network'
import { IO_RATE_ENTRIES } from '../../vmm/model/policy-io'

/** What a client sees. Times are milliseconds since the Unix epoch, sizes are bytes unless named MiB. */

const time = v.number()
const bytes = v.number()
const text = v.string()
export const BinaryData = v.custom<Uint8Array>((value) => value instanceof Uint8Array, 'Expected bytes.')

export const FailureView = v.object({ kind: v.picklist(FAILURE_KINDS), message: text, hint: text, detail: text })
export type FailureView = v.InferOutput<typeof FailureView>

export const CapabilitiesView = v.object({
  pause: v.boolean(),
  save: v.boolean(),
  liveSnapshot: v.boolean(),
  diskSnapshot: v.boolean(),
  instantStart: v.boolean(),
  linkedClone: v.boolean(),
  filesCard: v.boolean(),
  powerButton: v.boolean(),
  agentPort: v.boolean(),
  balloon: v.boolean(),
  diskLimits: v.boolean(),
  growDisk: v.boolean(),
  outlivesMain: v.boolean(),
  mostCpus: v.number(),
  mostMemoryMiB: v.number(),
  furtherDisks: v.number(),
  mostNics: v.number(),
  firmwares: v.array(v.picklist(FIRMWARES)),
  machineTypes: v.array(v.picklist(MACHINE_TYPES)),
  accelerators: v.array(v.picklist(ACCELERATORS)),
  diskBuses: v.array(v.picklist(DISK_BUSES)),
})
export type CapabilitiesView = v.InferOutput<typeof CapabilitiesView>

export const EngineView = v.object({
  id: v.picklist(ENGINE_IDS),
  name: text,
  isolation: v.picklist(ISOLATIONS),
  capabilities: CapabilitiesView,
  /** Whether it works on this host, found by trying. */
  works: v.boolean(),
  /** Why not, and what would help; empty when it works. */
  reason: text,
  /** Whether that is still being found out. */
  trying: v.boolean(),
  /** What it runs on, such as 'QEMU 7.2.22'; empty for an engine that is part of Vivarium. */
  version: text,
  /** What was tried to make guests fast, best first; `reason` says why one was refused. */
  accelerators: v.array(v.object({ id: v.picklist(ACCELERATORS), works: v.boolean(), reason: text })),
})
export type EngineView = v.InferOutput<typeof EngineView>

export const DomainView = v.object({
  id: text,
  name: text,
  group: text,
  notes: text,
  state: v.picklist(DOMAIN_STATES),
  /** Why the domain is in this state, where that needs saying (crashed, damaged, starting step). */
  stateReason: text,
  engine: v.picklist(ENGINE_IDS),
  isolation: v.picklist(ISOLATIONS),
  capabilities: CapabilitiesView,
  imageId: text,
  /** Name of the image, or empty when it is gone. */
  imageName: text,
  imageKind: v.nullable(v.picklist(IMAGE_KINDS)),
  memoryMiB: v.number(),
  ...HARDWARE_ENTRIES,
  diskLimits: DiskLimitsSchema,
  /** A template is never started; domains are cloned from it. */
  template: v.boolean(),
  /** What makes the running machine fast, such as 'tcg'; empty when there is none, or no choice. */
  runningOn: text,
  /** Memory that the running guest has been left; null where it always has all. */
  memoryNowMiB: v.nullable(v.number()),
  instantStart: v.boolean(),
  /** Whether the machine now running came up from a boot snapshot. */
  startedInstantly: v.boolean(),
  ephemeral: v.boolean(),
  mac: text,
  /** `none`: the image has no agent; `waiting`: not answered yet; `ready`: answers. */
  agent: v.picklist(['none', 'waiting', 'ready']),
  createdAt: time,
  /** Start of the present run; null when there is no machine. */
  startedAt: v.nullable(time),
  /** Whether the machine that runs now has a screen to look at. */
  screen: v.boolean(),
  /** The task now working on this domain. */
  taskId: v.nullable(text),
  snapshotCount: v.number(),
})
export type DomainView = v.InferOutput<typeof DomainView>

export const DiskView = v.object({
  id: text,
  kind: v.picklist(['disk', 'cdrom']),
  attached: v.boolean(),
  /** Whether it is the one that the image or the domain's own disk size gives. */
  first: v.boolean(),
  /** Size that the guest sees, bytes; 0 for an empty CD drive. */
  bytes,
  /** What it takes up on the host beside its image, bytes. */
  usedBytes: bytes,
  /** Whether what the guest writes is sealed on the host. */
  sealed: v.boolean(),
  /** '' for none. */
  imageId: text,
  imageName: text,
})
export type DiskView = v.InferOutput<typeof DiskView>

export const CommandLineView = v.object({
  /** The words of the command; none where the engine has no command. */
  words: v.array(text),
})
export type CommandLineView = v.InferOutput<typeof CommandLineView>

/** A network interface as the guest tells it. */
export const InterfaceView = v.object({ name: text, mac: text, addresses: v.array(text) })
export type InterfaceView = v.InferOutput<typeof InterfaceView>

export const TrashedView = v.object({ id: text, name: text, trashedAt: time, bytes })
export type TrashedView = v.InferOutput<typeof TrashedView>

export const SnapshotView = v.object({
  id: text,
  domainId: text,
  parentId: v.nullable(text),
  name: text,
  description: text,
  /** Whether it holds a live machine (memory and devices), or disks alone. */
  live: v.boolean(),
  memoryMiB: v.number(),
  bytes,
  createdAt: time,
  /** The snapshot that the domain's present state descends from. */
  current: v.boolean(),
  /** Empty when usable; else why it cannot be reverted to. */
  damage: text,
})
export type SnapshotView = v.InferOutput<typeof SnapshotView>

export const ImageView = v.object({
  id: text,
  name: text,
  kind: v.picklist(IMAGE_KINDS),
  bytes,
  agent: v.boolean(),
  cmdline: text,
  createdAt: time,
  /** How many domains use it. */
  usedBy: v.number(),
  /** Whether a boot snapshot is kept, by guest memory in MiB. */
  instantFor: v.array(v.number()),
  /** Empty when usable; else what is wrong with its files. */
  damage: text,
})
export type ImageView = v.InferOutput<typeof ImageView>

export const TASK_STATES = ['running', 'done', 'failed', 'cancelled'] as const

export const TaskView = v.object({
  id: text,
  /** A stable word for what it does, such as `domain.start` or `image.prepare`. */
  kind: text,
  /** For people, such as 'Starting web-1'. */
  title: text,
  domainId: v.nullable(text),
  state: v.picklist(TASK_STATES),
  /** The present step, for people, such as 'Downloading packages'. */
  step: text,
  /** Progress in `unit`; `total` is 0 while the end is not known. */
  done: v.number(),
  total: v.number(),
  unit: v.picklist(['bytes', 'steps', '']),
  /** Estimated time left in milliseconds; null while unknown. */
  leftMs: v.nullable(v.number()),
  cancellable: v.boolean(),
  startedAt: time,
  endedAt: v.nullable(time),
  failure: v.nullable(FailureView),
  /** What came of it: the id of the domain, image or snapshot made; empty for none. */
  resultId: text,
})
export type TaskView = v.InferOutput<typeof TaskView>

export const LoadView = v.object({
  at: time,
  /** Share of the last interval in which the guest's processor was busy, 0 to 1. */
  cpu: v.number(),
  /** Null where the engine cannot count them. */
  instructionsPerSecond: v.nullable(v.number()),
  hostBytes: bytes,
  guestUsedBytes: v.nullable(bytes),
  diskReadPerSecond: v.number(),
  diskWritePerSecond: v.number(),
  diskReadOpsPerSecond: v.number(),
  diskWriteOpsPerSecond: v.number(),
})
export type LoadView = v.InferOutput<typeof LoadView>

export const LogEntryView = v.object({
  seq: v.number(),
  at: time,
  domainId: v.nullable(text),
  /** A stable word, such as `domain.started`. */
  event: text,
  level: v.picklist(['info', 'warning', 'error']),
  /** For people. */
  message: text,
})
export type LogEntryView = v.InferOutput<typeof LogEntryView>

export const SettingsView = v.strictObject({
  theme: v.picklist(['system', 'light', 'dark']),
  /** Console font size in CSS pixels. */
  consoleFontSize: v.pipe(v.number(), v.integer(), v.minValue(8), v.maxValue(32)),
  /** Whether the welcome has been left once. */
  welcomed: v.boolean(),
  /** Whom the gateway asks for names, 'address' or 'address:port'; those of the host when there are none. */
  dnsServers: v.pipe(v.array(DnsServerSchema), v.maxLength(8, 'The gateway asks at most 8 servers.')),
  /** Whether what is kept of new domains is encrypted: changes of shares, disks, memory. */
  sealing: v.boolean(),
  /** Whether disks of new domains that are sealed are so too. */
  sealDisks: v.boolean(),
  /** What all domains of a group together may move to and from their disks and shares. */
  groupLimits: v.pipe(
    v.array(v.strictObject({ group: NameSchema, ...IO_RATE_ENTRIES })),
    v.maxLength(100, 'At most 100 groups have limits.'),
  ),
})
export type SettingsView = v.InferOutput<typeof SettingsView>

export const AppView = v.object({
  version: text,
  shell: v.picklist(['electron', 'browser', 'headless']),
  platform: text,
  engines: v.array(EngineView),
  dataFolder: text,
  /** Where the person's own files are. */
  homeFolder: text,
  starter: v.object({
    /** Whether the starter image is ready to boot. */
    ready: v.boolean(),
    imageId: text,
    /** Whether this host can build it. */
    buildable: v.boolean(),
    /** Why not, with the next step; empty when it can. */
    reason: text,
  }),
})
export type AppView = v.InferOutput<typeof AppView>

export const ConsoleChunk = v.object({
  /** Position of `bytes[0]` in all that the console has written since main started. */
  offset: v.number(),
  bytes: BinaryData,
  /** Position after the last byte written so far. */
  end: v.number(),
})
export type ConsoleChunk = v.InferOutput<typeof ConsoleChunk>

export const DisplayChunk = v.object({
  bytes: BinaryData,
  /** Nothing more comes: the machine has ended, or did not understand what the viewer said. */
  closed: v.boolean(),
  /** Why it was closed, for people; empty when there is nothing to say. */
  reason: text,
})
export type DisplayChunk = v.InferOutput<typeof DisplayChunk>

export const ScreenshotPart = v.object({
  /** Names the screenshot for as long as its later parts can be read. */
  shot: text,
  /** Size of the whole file. */
  size: bytes,
  bytes: BinaryData,
})
export type ScreenshotPart = v.InferOutput<typeof ScreenshotPart>

export const ExecChunk = v.object({
  stdout: BinaryData,
  stderr: BinaryData,
  exited: v.boolean(),
  /** The command's status, or null when it was ended by a signal or has not ended. */
  exitCode: v.nullable(v.number()),
  signal: v.nullable(v.number()),
})
export type ExecChunk = v.InferOutput<typeof ExecChunk>
