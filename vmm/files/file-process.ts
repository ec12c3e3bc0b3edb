import { createBirpc } from 'birpc'
import { toFailure } from '../model/errors'
import { connectParent } from '../engine/parent-link'
import { FilesHost } from './files-host'
import type { FilesCalls, FilesCommands, FilesEvents, FilesReply } from './files-protocol'

/** Entry point of the file process: all shares, volumes and registries of all domains. It ends with main. */

/** How often main is told what goes on, milliseconds. */
const REPORT_EVERY_MS = 250

let receive: (message: unknown) => void = () => undefined
const send = connectParent<unknown, unknown>((message) => receive(message))

const host = new FilesHost({
  clock: {
    now: () => performance.now(),
    later: (ms, work) => {
      const timer = setTimeout(work, ms)
      return () => clearTimeout(timer)
    },
  },
  progress: (job, done, total) => void main.progress.asEvent(job, done, total),
})

const answering =
  <A extends unknown[], T>(name: string, work: (...args: A) => Promise<T>) =>
  async (...args: A): Promise<FilesReply<T>> => {
    try {
      return { ok: true, value: await work(...args) }
    } catch (error) {
      return { ok: false, failure: toFailure(error, `${name} the files`) }
    }
  }

const commands: FilesCommands = {
  setDomain: answering('attach', (config) => host.setDomain(config)),
  closeDomain: answering('close', (id) => host.closeDomain(id)),
  snapshot: answering('copy', (id, folder) => host.snapshot(id, folder)),
  restore: answering('put back', (shares, folder) => host.restore(shares, folder)),
  keptBytes: answering('measure', (id) => host.keptBytes(id)),
  changes: answering('compare', (...args: Parameters<FilesCalls['changes']>) => host.changes(...args)),
  sides: answering('read', (...args: Parameters<FilesCalls['sides']>) => host.sides(...args)),
  apply: answering('apply', (...args: Parameters<FilesCalls['apply']>) => host.apply(...args)),
  discard: answering('discard', (...args: Parameters<FilesCalls['discard']>) => host.discard(...args)),
  cancel: answering('cancel', (job) => host.cancel(job)),
  close: answering('close', () => host.close()),
}

const main = createBirpc<FilesEvents, FilesCommands>(commands, {
  post: (message) => send(message),
  on: (take) => {
    receive = take
  },
  eventNames: ['report', 'progress'],
})

setInterval(() => {
  const report = host.report()
  if (report !== null) void main.report.asEvent(report)
}, REPORT_EVERY_MS)
