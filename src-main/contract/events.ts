import * as v from 'valibot'
import type { Topic } from './calls'
import { FileDenialView, FilesView } from './file-views'
import { DenialView, NetworkSampleView } from './network-views'
import { DomainView, ImageView, LoadView, LogEntryView, SettingsView, TaskView } from './views'

/** Every event main sends, by topic: what changed, whole, so that a client can simply replace it. */
export const EVENTS = {
  domains: v.object({ changed: v.array(DomainView), removed: v.array(v.string()) }),
  tasks: v.object({ changed: v.array(TaskView) }),
  images: v.object({ all: v.array(ImageView) }),
  load: v.object({ id: v.string(), sample: LoadView }),
  log: v.object({ entry: LogEntryView }),
  settings: SettingsView,
  network: v.object({
    /** '' when more than one domain is concerned: networks, mirrors, captures. */
    id: v.string(),
    sample: v.nullable(NetworkSampleView),
    /** New ones, and such that happened again. */
    denials: v.array(DenialView),
    /** Whether more than throughput has changed, so that what is shown should be asked for anew. */
    changed: v.boolean(),
  }),
  files: v.object({
    /** '' for what concerns no single domain: keys, hives. */
    id: v.string(),
    /** Rates of its devices now, about once a second while it runs. */
    meters: v.nullable(v.pick(FilesView, ['devices', 'group'])),
    /** New ones, and such that happened again. */
    denials: v.array(FileDenialView),
    /** Whether what is shown should be asked for anew. */
    changed: v.picklist(['', 'files', 'registry', 'keys']),
  }),
} satisfies Record<Topic, v.GenericSchema>

export type EventPayload<T extends Topic> = v.InferOutput<(typeof EVENTS)[T]>
/** One event as it travels. */
export type ContractEvent = { [T in Topic]: { topic: T; payload: EventPayload<T> } }[Topic]
