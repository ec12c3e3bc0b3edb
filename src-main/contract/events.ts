import * as v from 'valibot'
import type { Topic } from './calls'
import { DomainView, ImageView, LoadView, LogEntryView, SettingsView, TaskView } from './views'

/** Every event main sends, by topic: what changed, whole, so that a client can simply replace it. */
export const EVENTS = {
  domains: v.object({ changed: v.array(DomainView), removed: v.array(v.string()) }),
  tasks: v.object({ changed: v.array(TaskView) }),
  images: v.object({ all: v.array(ImageView) }),
  load: v.object({ id: v.string(), sample: LoadView }),
  log: v.object({ entry: LogEntryView }),
  settings: SettingsView,
} satisfies Record<Topic, v.GenericSchema>

export type EventPayload<T extends Topic> = v.InferOutput<(typeof EVENTS)[T]>
/** One event as it travels. */
export type ContractEvent = { [T in Topic]: { topic: T; payload: EventPayload<T> } }[Topic]
