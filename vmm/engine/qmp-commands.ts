import * as v from 'valibot'
import type { BlockSource } from '../images/block-source'

/** The commands and events of QMP that Vivarium uses (QEMU's docs/interop/qemu-qmp-ref). */

const nothing = v.looseObject({})
const text = v.string()

/** What is read of each command's answer; the rest is not looked at. */
export const QMP_REPLIES = {
  qmp_capabilities: nothing,
  'query-status': v.object({ status: text, running: v.boolean() }),
  'query-uuid': v.object({ UUID: text }),
  'query-cpus-fast': v.array(v.object({ 'thread-id': v.number() })),
  'query-blockstats': v.array(
    v.object({
      qdev: v.optional(text, ''),
      stats: v.object({
        rd_bytes: v.number(),
        wr_bytes: v.number(),
        rd_operations: v.number(),
        wr_operations: v.number(),
      }),
    }),
  ),
  'query-named-block-nodes': v.array(v.object({ 'node-name': v.optional(text, '') })),
  'query-block': v.array(
    v.object({
      qdev: v.optional(text, ''),
      inserted: v.optional(v.object({ 'node-name': v.optional(text, '') })),
    }),
  ),
  'query-balloon': v.object({ actual: v.number() }),
  'query-jobs': v.array(v.object({ id: text, type: text, status: text, error: v.optional(text, '') })),
  'qom-get': v.unknown(),
  'qom-set': nothing,
  cont: nothing,
  stop: nothing,
  quit: nothing,
  system_powerdown: nothing,
  balloon: nothing,
  'blockdev-add': nothing,
  'blockdev-del': nothing,
  transaction: nothing,
  block_resize: nothing,
  block_set_io_throttle: nothing,
  'blockdev-open-tray': nothing,
  'blockdev-close-tray': nothing,
  'blockdev-remove-medium': nothing,
  'blockdev-insert-medium': nothing,
  'snapshot-save': nothing,
  'snapshot-load': nothing,
  'job-dismiss': nothing,
  'job-cancel': nothing,
  screendump: nothing,
  set_link: nothing,
} as const

interface SnapshotJob {
  'job-id': string
  tag: string
  vmstate: string
  devices: string[]
}

/** Commands that take arguments; the others take none. */
interface Arguments {
  'qom-get': { path: string; property: string }
  'qom-set': { path: string; property: string; value: unknown }
  balloon: { value: number }
  'blockdev-add': BlockSource
  'blockdev-del': { 'node-name': string }
  transaction: { actions: { type: 'blockdev-snapshot'; data: { node: string; overlay: string } }[] }
  block_resize: { 'node-name': string; size: number }
  block_set_io_throttle: Record<string, string | number>
  'blockdev-open-tray': { id: string; force: boolean }
  'blockdev-close-tray': { id: string }
  'blockdev-remove-medium': { id: string }
  'blockdev-insert-medium': { id: string; 'node-name': string }
  'snapshot-save': SnapshotJob
  'snapshot-load': SnapshotJob
  'job-dismiss': { id: string }
  'job-cancel': { id: string }
  set_link: { name: string; up: boolean }
  screendump: { filename: string; format: 'png' }
}

export type QmpCommand = keyof typeof QMP_REPLIES
export type QmpArguments<C extends QmpCommand> = C extends keyof Arguments ? Arguments[C] : Record<string, never>
export type QmpReply<C extends QmpCommand> = v.InferOutput<(typeof QMP_REPLIES)[C]>

/** An event as it came; `data` is for the listener to check. */
export interface QmpEvent {
  name: string
  data: Record<string, unknown>
}
