import * as v from 'valibot'
import { DomainPatchSchema, DomainSpecSchema, MemorySchema, NameSchema } from '../../vmm/model/domain'
import { EXPORT_FORMATS } from '../../vmm/model/export-format'
import { DiskIdSchema, DiskMibSchema, FIRST_DISK } from '../../vmm/model/hardware'
import { IdSchema } from '../../vmm/model/id'
import { IMAGE_KINDS } from '../../vmm/model/image'
import { byDomain, call, done, nothing, waitMs } from './call'
import { FILE_CALLS } from './file-calls'
import { NETWORK_CALLS } from './network-calls'
import { REGISTRY_CALLS } from './registry-calls'
import {
  AppView,
  BinaryData,
  CommandLineView,
  ConsoleChunk,
  DiskView,
  DisplayChunk,
  DomainView,
  EngineView,
  ExecChunk,
  ImageView,
  InterfaceView,
  LoadView,
  LogEntryView,
  ScreenshotPart,
  SettingsView,
  SnapshotView,
  TaskView,
  TrashedView,
} from './views'

/** Largest binary argument of one call, bytes. */
export const CHUNK_LIMIT = 256 * 1024
/** Largest part of a screen's bytes that one call returns, bytes. */
export const DISPLAY_READ_LIMIT = 1024 * 1024

const byId = v.strictObject({ id: IdSchema })
const chunk = v.pipe(
  BinaryData,
  v.check((bytes) => bytes.byteLength <= CHUNK_LIMIT, 'A chunk is at most 256 KiB.'),
)
const position = v.pipe(v.number(), v.integer(), v.minValue(0), v.maxValue(Number.MAX_SAFE_INTEGER))
const path = v.pipe(
  v.string(),
  v.minLength(1),
  v.maxLength(4096),
  v.check((text) => !text.includes('\0'), 'A path cannot hold a NUL character.'),
)
const description = v.optional(v.pipe(v.string(), v.maxLength(10_000)), '')

export const IMPORT_SOURCES = v.pipe(
  v.array(v.union([v.strictObject({ path }), v.strictObject({ uploadId: IdSchema })])),
  v.minLength(1, 'Choose a file.'),
  v.maxLength(2, 'An image has at most two files: a kernel and its initrd.'),
)

export const TOPICS = ['domains', 'tasks', 'images', 'load', 'log', 'settings', 'network', 'files'] as const
export type Topic = (typeof TOPICS)[number]

/**
 * Every call a client can make, declared once: its arguments, checked in main whatever the client, and its
 * result. A call that returns a `TaskView` has begun long work; `tasks.wait` tells its outcome.
 */
export const CALLS = {
  /** Without `wait`, engines that are still being tried are told as such. */
  'app.info': call(v.strictObject({ wait: v.optional(v.boolean(), true) }), AppView),
  /** Brings the window to the front; without one, `url` is where a browser finds the interface. */
  'app.show': call(nothing, v.object({ url: v.string() })),
  /** Tries every engine again, as after something was installed. */
  'engines.probe': call(nothing, v.array(EngineView)),
  /** Chooses which events this client receives. */
  'events.subscribe': call(v.strictObject({ topics: v.array(v.picklist(TOPICS)) }), done),

  'domains.list': call(nothing, v.array(DomainView)),
  'domains.get': call(byDomain, DomainView),
  /** An ephemeral domain is removed, with all it has, when it stops or when the client that made it leaves. */
  'domains.create': call(
    v.strictObject({ spec: DomainSpecSchema, ephemeral: v.optional(v.boolean(), false) }),
    DomainView,
  ),
  'domains.update': call(v.strictObject({ id: IdSchema, patch: DomainPatchSchema }), DomainView),
  'domains.start': call(v.strictObject({ id: IdSchema, cold: v.optional(v.boolean(), false) }), TaskView),
  'domains.pause': call(byDomain, DomainView),
  'domains.resume': call(byDomain, DomainView),
  /** Asks the guest to power off; fails with kind `timeout` when it does not, and leaves it running. */
  'domains.shutdown': call(byDomain, TaskView),
  'domains.restart': call(byDomain, TaskView),
  'domains.save': call(byDomain, TaskView),
  'domains.forceOff': call(byDomain, DomainView),
  /** Throws a saved state away; the domain is then off. */
  'domains.discard': call(byDomain, DomainView),
  /**
   * Writes a file on this host: one disk in a format, or all of the domain as an appliance. A file that is there is
   * replaced only when asked for.
   */
  'domains.export': call(
    v.strictObject({
      id: IdSchema,
      path,
      format: v.picklist(EXPORT_FORMATS),
      /** Which disk; of no matter for an appliance. */
      disk: v.optional(DiskIdSchema, FIRST_DISK),
      replace: v.optional(v.boolean(), false),
    }),
    TaskView,
  ),
  /** A linked clone shares unchanged disk content with its source. */
  'domains.clone': call(
    v.strictObject({ id: IdSchema, name: v.optional(NameSchema), linked: v.optional(v.boolean(), false) }),
    TaskView,
  ),
  /** Moves the domain to the trash. */
  'domains.delete': call(byDomain, done),
  /** The last ten minutes of load, one sample a second, oldest first. */
  'domains.load': call(byDomain, v.array(LoadView)),

  /** Leaves a running guest this much of its memory, at most what its spec says. */
  'domains.setMemory': call(v.strictObject({ id: IdSchema, memoryMiB: MemorySchema }), DomainView),
  /** What starts, or has started, the machine. */
  'domains.commandLine': call(byDomain, CommandLineView),
  /** What the guest's agent says of its network interfaces; none where it does not answer. */
  'domains.interfaces': call(byDomain, v.array(InterfaceView)),

  /** The disks of a domain, its first one included. */
  'disks.list': call(byDomain, v.array(DiskView)),
  /** Adds a disk, empty or on top of an image, or a CD drive. */
  'disks.add': call(
    v.strictObject({
      id: IdSchema,
      kind: v.picklist(['disk', 'cdrom']),
      mib: v.optional(DiskMibSchema, 0),
      imageId: v.optional(v.union([v.literal(''), IdSchema]), ''),
    }),
    DomainView,
  ),
  /** Attaches or detaches a disk, or changes what is in a CD drive, the latter also while the guest runs. */
  'disks.update': call(
    v.strictObject({
      id: IdSchema,
      disk: DiskIdSchema,
      attached: v.optional(v.boolean()),
      imageId: v.optional(v.union([v.literal(''), IdSchema])),
    }),
    DomainView,
  ),
  /** Grows a disk, also while the guest runs; the guest has to grow its partitions itself. */
  'disks.resize': call(v.strictObject({ id: IdSchema, disk: DiskIdSchema, mib: DiskMibSchema }), DomainView),
  /** Removes an added disk with its content; snapshots keep theirs. */
  'disks.remove': call(v.strictObject({ id: IdSchema, disk: DiskIdSchema }), DomainView),
  /** Looks at a disk's own structure, and mends a copy of it where it is damaged. */
  'disks.repair': call(v.strictObject({ id: IdSchema, disk: DiskIdSchema }), TaskView),

  'trash.list': call(nothing, v.array(TrashedView)),
  'trash.restore': call(byDomain, DomainView),
  /** Deletes for good: the domains named, or all. */
  'trash.empty': call(v.strictObject({ ids: v.optional(v.array(IdSchema)) }), TaskView),

  'snapshots.list': call(byDomain, v.array(SnapshotView)),
  /** Without `memory`, of the disks alone. */
  'snapshots.create': call(
    v.strictObject({
      id: IdSchema,
      name: v.optional(NameSchema),
      description,
      memory: v.optional(v.boolean(), true),
    }),
    TaskView,
  ),
  'snapshots.revert': call(v.strictObject({ id: IdSchema, snapshotId: IdSchema }), TaskView),
  'snapshots.rename': call(
    v.strictObject({ id: IdSchema, snapshotId: IdSchema, name: NameSchema, description }),
    SnapshotView,
  ),
  /** Deletes one snapshot; its children move to its parent. */
  'snapshots.delete': call(v.strictObject({ id: IdSchema, snapshotId: IdSchema }), TaskView),

  'images.list': call(nothing, v.array(ImageView)),
  /** Makes sure that the starter image is there; the task's `resultId` is the image. */
  'images.prepareStarter': call(nothing, TaskView),
  /** Takes files in as a new image, by path on this host or from finished uploads. */
  'images.import': call(
    v.strictObject({
      sources: IMPORT_SOURCES,
      name: v.optional(NameSchema),
      /** Found from the content when left out. */
      kind: v.optional(v.picklist(IMAGE_KINDS.filter((kind) => kind !== 'starter'))),
      /** Kernel command line, for a kernel. */
      cmdline: v.optional(v.pipe(v.string(), v.maxLength(2000))),
    }),
    TaskView,
  ),
  'images.uploadBegin': call(
    v.strictObject({ name: v.pipe(v.string(), v.maxLength(255)), bytes: position }),
    v.object({ uploadId: v.string() }),
  ),
  'images.uploadChunk': call(v.strictObject({ uploadId: IdSchema, offset: position, bytes: chunk }), done),
  'images.remove': call(byId, done),

  'tasks.list': call(nothing, v.array(TaskView)),
  /** Answers when the task has ended, or when `waitMs` is over. */
  'tasks.wait': call(v.strictObject({ id: IdSchema, waitMs }), TaskView),
  'tasks.cancel': call(byId, TaskView),

  /** Console output from `offset` on; waits for some when there is none. What is no longer kept is skipped. */
  'console.read': call(
    v.strictObject({
      id: IdSchema,
      offset: position,
      maxBytes: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(CHUNK_LIMIT)), CHUNK_LIMIT),
      waitMs,
    }),
    ConsoleChunk,
  ),
  'console.write': call(v.strictObject({ id: IdSchema, bytes: chunk }), done),
  /** Tells the guest the size of the terminal, where it has an agent. */
  'console.resize': call(
    v.strictObject({
      id: IdSchema,
      columns: v.pipe(v.number(), v.integer(), v.minValue(2), v.maxValue(1000)),
      rows: v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)),
    }),
    done,
  ),

  /** Opens a viewer on the screen: a connection to a server of the remote framebuffer protocol 3.8, for this client. */
  'display.open': call(byDomain, v.object({ displayId: v.string() })),
  /** New bytes for a viewer; waits for some when there are none. Main holds 2 MiB, then the server waits. */
  'display.read': call(
    v.strictObject({
      displayId: IdSchema,
      waitMs,
      maxBytes: v.optional(
        v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(DISPLAY_READ_LIMIT)),
        DISPLAY_READ_LIMIT,
      ),
    }),
    DisplayChunk,
  ),
  /** Answers when the server has taken the bytes. */
  'display.write': call(v.strictObject({ displayId: IdSchema, bytes: chunk }), done),
  'display.close': call(v.strictObject({ displayId: IdSchema }), done),
  /** What the screen shows now, as a PNG file, at most 1 MiB of it; `shot` and `offset` ask for a later part. */
  'display.screenshot': call(
    v.strictObject({ id: IdSchema, shot: v.optional(IdSchema), offset: v.optional(position, 0) }),
    ScreenshotPart,
  ),

  'exec.start': call(
    v.strictObject({
      id: IdSchema,
      argv: v.pipe(
        v.array(v.pipe(v.string(), v.maxLength(32_768))),
        v.minLength(1, 'Name a command.'),
        v.maxLength(1000),
      ),
      stdin: v.optional(chunk),
    }),
    v.object({ execId: v.string() }),
  ),
  /** New output of a command; waits for some when there is none. */
  'exec.read': call(v.strictObject({ execId: IdSchema, waitMs }), ExecChunk),
  'exec.stop': call(v.strictObject({ execId: IdSchema }), done),

  /** Newest entries before `before`, oldest first. */
  'log.read': call(
    v.strictObject({
      domainId: v.optional(IdSchema),
      before: v.optional(position),
      limit: v.optional(v.pipe(v.number(), v.integer(), v.minValue(1), v.maxValue(1000)), 200),
    }),
    v.array(LogEntryView),
  ),

  'settings.get': call(nothing, SettingsView),
  'settings.update': call(v.partial(SettingsView), SettingsView),

  ...NETWORK_CALLS,
  ...FILE_CALLS,
  ...REGISTRY_CALLS,
} as const

export type Calls = typeof CALLS
export type CallName = keyof Calls
/** What a client passes. */
export type CallArgs<N extends CallName> = v.InferInput<Calls[N]['args']>
/** What a handler receives, defaults filled in. */
export type CheckedArgs<N extends CallName> = v.InferOutput<Calls[N]['args']>
export type CallResult<N extends CallName> = v.InferOutput<Calls[N]['result']>

export const CALL_NAMES = Object.keys(CALLS) as CallName[]
