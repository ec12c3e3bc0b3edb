import { defineStore } from 'pinia'
import { shallowRef } from 'vue'
import type { ImageKind, ImageView } from '../../src-main/contract'
import { useApp } from './app'

const KIND_WORDS: Record<ImageKind, string> = {
  starter: 'Starter',
  kernel: 'Linux kernel',
  cdrom: 'ISO',
  disk: 'Disk',
  floppy: 'Floppy',
}

export const imageKindWord = (kind: ImageKind): string => KIND_WORDS[kind]

/** What domains can boot. */
export const useImages = defineStore('images', () => {
  const app = useApp()
  const list = shallowRef<ImageView[]>([])

  app.onConnected(async () => {
    list.value = await app.call('images.list', {})
  })
  app.on('images', ({ all }) => {
    list.value = all
    // whether the starter is ready may have changed with them
    app.refreshInfo().catch(() => {})
  })

  return { list, get: (id: string) => list.value.find((image) => image.id === id) }
})
