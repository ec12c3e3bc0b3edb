import { defineStore } from 'pinia'
import { shallowRef, type ShallowRef } from 'vue'
import { takeScreenshot } from '../../src-main/contract'
import { useApp } from './app'

/** How old a picture may become while somebody looks at it, milliseconds, and how often that is checked. */
const RENEW_MS = 10_000
const CHECK_MS = 500
/** Widest picture kept, pixels: the preview, on a display of double density. */
const WIDTH = 640
/** Where a PNG file tells its width. */
const PNG_WIDTH_AT = 16

interface Thumbnail {
  picture: ShallowRef<ImageBitmap | null>
  viewers: number
  takenAt: number
}

/** Small pictures of guests' screens, for those that are in sight: one screenshot at a time, each renewed now and then. */
export const useThumbnails = defineStore('thumbnails', () => {
  const app = useApp()
  const watched = new Map<string, Thumbnail>()
  let timer: ReturnType<typeof setInterval> | undefined
  let busy = false

  /** Keeps a picture of the domain fresh until `unwatch`. */
  function watch(id: string): Readonly<ShallowRef<ImageBitmap | null>> {
    const thumbnail = watched.get(id) ?? { picture: shallowRef(null), viewers: 0, takenAt: -Infinity }
    thumbnail.viewers += 1
    watched.set(id, thumbnail)
    timer ??= setInterval(() => void renewOne(), CHECK_MS)
    void renewOne()
    return thumbnail.picture
  }

  function unwatch(id: string): void {
    const thumbnail = watched.get(id)
    if (!thumbnail || --thumbnail.viewers > 0) return
    watched.delete(id)
    thumbnail.picture.value?.close()
    if (watched.size > 0) return
    clearInterval(timer)
    timer = undefined
  }

  async function renewOne(): Promise<void> {
    if (busy || document.hidden || app.status.phase !== 'open') return
    const now = performance.now()
    const due = [...watched].filter(([, { takenAt }]) => now - takenAt > RENEW_MS)
    const [next] = due.sort(([, one], [, other]) => one.takenAt - other.takenAt)
    if (!next) return
    busy = true
    await renew(...next)
    busy = false
  }

  async function renew(id: string, thumbnail: Thumbnail): Promise<void> {
    thumbnail.takenAt = performance.now()
    try {
      const png = await takeScreenshot(app.call, id)
      const width = new DataView(png.buffer).getUint32(PNG_WIDTH_AT)
      const picture = await createImageBitmap(new Blob([png], { type: 'image/png' }), {
        resizeWidth: Math.min(width, WIDTH),
        resizeQuality: 'high',
      })
      if (watched.get(id) !== thumbnail) {
        picture.close()
        return
      }
      const before = thumbnail.picture.value
      thumbnail.picture.value = picture
      before?.close()
    } catch {
      // the machine may just have ended: the last picture stays until it is out of sight
    }
  }

  return { watch, unwatch }
})
