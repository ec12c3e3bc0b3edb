import { createBirpc } from 'birpc'
import { toFailure } from '../model/errors'
import type { Clock } from '../net/clock'
import { FilesHost } from './files-host'
import type { FilesCalls, FilesCommands, FilesEvents, FilesReply } from './files-protocol'

/** How often main is told what goes on, milliseconds. */
const REPORT_EVERY_MS = 250

export interface MainLink {
  send(message: unknown): void
  onMessage(receive: (message: unknown) => void): void
}

/** Answers main with the files of all domains; returns what ends it without flushing anything. */
export function serveFiles(link: MainLink, clock: Clock): () => void {
  const host = new FilesHost({
    clock,
    wallClock: () => Date.now(),
    progress: (job, done, total) => void main.progress.asEvent(job, done, total),
  })
  const main = createBirpc<FilesEvents, FilesCommands>(commandsOf(host), {
    post: (message) => link.send(message),
    on: (receive) => link.onMessage(receive),
    eventNames: ['report', 'progress'],
  })
  const timer = setInterval(() => {
    const report = host.report()
    if (report !== null) void main.report.asEvent(report)
  }, REPORT_EVERY_MS)
  return () => clearInterval(timer)
}

/** What each call does, for a message should it fail with an error of the system. */
const DOING: { [K in keyof FilesCalls]: string } = {
  setDomain: 'open the files',
  closeDomain: 'close the files',
  snapshot: 'copy what is kept of the files',
  restore: 'put the files back',
  keptBytes: 'measure what is kept',
  changes: 'compare the files',
  sides: 'read the file',
  apply: 'bring the changes to the host',
  discard: 'discard the changes',
  cancel: 'cancel',
  volumes: 'work on the disk',
  copyVolumes: 'copy the disks',
  flattenVolume: 'write the disk',
  registry: 'work on the registry',
  close: 'close the files',
}

function commandsOf(host: FilesCalls): FilesCommands {
  const answering =
    (name: keyof FilesCalls) =>
    async (...args: unknown[]): Promise<FilesReply<unknown>> => {
      try {
        const call = host[name] as (...all: unknown[]) => Promise<unknown>
        return { ok: true, value: await call.apply(host, args) }
      } catch (error) {
        return { ok: false, failure: toFailure(error, DOING[name]) }
      }
    }
  const names = Object.keys(DOING) as (keyof FilesCalls)[]
  return Object.fromEntries(names.map((name) => [name, answering(name)])) as unknown as FilesCommands
}
