import { defineStore } from 'pinia'
import { shallowReactive } from 'vue'
import type { CallArgs, CaptureView } from '../../src-main/contract'
import { saveFile } from '../bridge'
import { useApp } from './app'
import { useNotices } from './notices'

/** Bytes, but for `files`; 0 is for no bound. */
export type CaptureBounds = Record<'snapBytes' | 'fileBytes' | 'files' | 'totalBytes', number>

/** How a capture is bounded when nothing else was chosen. */
export const USUAL_CAPTURE: Readonly<CaptureBounds> = { snapBytes: 0, fileBytes: 0, files: 0, totalBytes: 1e9 }

const portKey = (domainId: string, nic: number): string => `${domainId} ${nic}`

/** Captures that were begun here, and their files. */
export const useCaptures = defineStore('captures', () => {
  const app = useApp()
  const notices = useNotices()
  /** The capture that was begun last on each card. */
  const ofPort = shallowReactive(new Map<string, CaptureView>())
  /** How much of each file that is being fetched is there, 0 to 1, by its name. */
  const fetching = shallowReactive(new Map<string, number>())

  /** Throws why it cannot begin. */
  async function start(wish: CallArgs<'captures.start'>): Promise<CaptureView> {
    const capture = await app.call('captures.start', wish)
    if ('id' in wish.source) ofPort.set(portKey(wish.source.id, wish.source.nic), capture)
    notices.say(`Capturing ${capture.name}`)
    return capture
  }

  async function stop(captureId: string): Promise<CaptureView | undefined> {
    const capture = await notices.attempt('Stopping the capture', () => app.call('captures.stop', { captureId }))
    if (capture) {
      for (const [key, known] of ofPort) if (known.id === captureId) ofPort.set(key, capture)
      notices.say(`The capture of ${capture.name} has stopped`)
    }
    return capture
  }

  /** Reads a file of a capture part by part, as much as it has now. */
  async function read(captureId: string, file: string): Promise<Blob> {
    // blobs of a part each: the browser may keep them on its disk
    const parts: Blob[] = []
    let offset = 0
    for (;;) {
      const { bytes, size } = await app.call('captures.read', { captureId, file, offset })
      offset += bytes.byteLength
      fetching.set(file, size > 0 ? offset / size : 1)
      if (bytes.byteLength > 0) parts.push(new Blob([new Uint8Array(bytes)]))
      if (bytes.byteLength === 0 || offset >= size) return new Blob(parts, { type: 'application/x-pcapng' })
    }
  }

  /** Saves a file of a capture where the person's downloads go. */
  async function download(captureId: string, file: string): Promise<void> {
    if (fetching.has(file)) return
    fetching.set(file, 0)
    try {
      const content = await notices.attempt(`Downloading ${file}`, () => read(captureId, file))
      if (!content) return
      saveFile(content, file)
      notices.tell(`${file} goes to your downloads. Wireshark and tcpdump open it.`)
    } finally {
      fetching.delete(file)
    }
  }

  return { fetching, start, stop, read, download, of: (id: string, nic: number) => ofPort.get(portKey(id, nic)) }
})
