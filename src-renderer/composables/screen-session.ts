import type RFB from '@novnc/novnc'
import { ref, shallowRef } from 'vue'
import type { useApp } from '../stores/app'
import { createDisplayChannel, type DisplayChannel } from './display-channel'
import type { ScreenKey } from './screen-keys'

/** How long one read waits for bytes, milliseconds. */
const READ_WAIT_MS = 15_000
/** Pauses before the link is tried again, milliseconds; the last one repeats. */
const RETRY_MS = [300, 1000, 2000, 5000]
/** How often the picture is looked at for being blank, milliseconds, and in how many points each way. */
const LOOK_EVERY_MS = 1000
const LOOK_SIZE = 128

export type ScreenPhase = 'closed' | 'connecting' | 'shown' | 'lost'

/** A viewer of one domain's screen inside `host`: connects again by itself until it is stopped. */
export function createScreenSession(
  id: string,
  call: ReturnType<typeof useApp>['call'],
  host: () => HTMLElement | null,
) {
  const phase = ref<ScreenPhase>('closed')
  /** Why the link was lost, for people. */
  const trouble = ref('')
  /** Whether all of the picture is one colour. */
  const blank = ref(false)
  const size = shallowRef({ width: 0, height: 0 })
  let rfb: RFB | null = null
  let channel: DisplayChannel | null = null
  let attempts = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let looking: ReturnType<typeof setInterval> | undefined
  let fit = true
  let hidden = false
  /** Every start and stop begins a new turn; what belongs to an older one is dropped. */
  let turn = 0

  const canvas = (): HTMLCanvasElement | null => host()?.querySelector('canvas') ?? null
  const sizes = new MutationObserver(readSize)

  async function connect(mine: number): Promise<void> {
    phase.value = 'connecting'
    // noVNC is loaded when the first screen is looked at
    const { default: Viewer } = await import('@novnc/novnc')
    const element = host()
    if (mine !== turn || !element) return
    channel = createDisplayChannel({
      open: () => call('display.open', { id }),
      read: (displayId) => call('display.read', { displayId, waitMs: READ_WAIT_MS }),
      write: (displayId, bytes) => call('display.write', { displayId, bytes }),
      close: (displayId) => call('display.close', { displayId }),
      sleep: (milliseconds) => new Promise((over) => setTimeout(over, milliseconds)),
    })
    channel.setPaused(hidden)
    rfb = new Viewer(element, channel as unknown as WebSocket, { shared: true })
    listen(rfb, channel, mine)
    rfb.background = 'transparent'
    rfb.scaleViewport = fit
    const picture = canvas()
    if (picture) {
      picture.tabIndex = 0
      sizes.observe(picture, { attributes: true, attributeFilter: ['width', 'height'] })
    }
  }

  function listen(viewer: RFB, link: DisplayChannel, mine: number): void {
    const tellClosed = link.onclose
    link.onclose = (event) => {
      if (mine === turn) trouble.value = event.reason
      tellClosed?.(event)
    }
    viewer.addEventListener('connect', () => {
      if (mine !== turn) return
      attempts = 0
      trouble.value = ''
      phase.value = 'shown'
      readSize()
      looking = setInterval(look, LOOK_EVERY_MS)
    })
    viewer.addEventListener('disconnect', () => {
      if (mine !== turn) return
      clear()
      phase.value = 'lost'
      const pause = RETRY_MS[Math.min(attempts, RETRY_MS.length - 1)]
      attempts += 1
      timer = setTimeout(() => void connect(mine), pause)
    })
  }

  function clear(): void {
    clearInterval(looking)
    sizes.disconnect()
    rfb = null
    channel = null
    blank.value = false
  }

  function start(): void {
    stop()
    attempts = 0
    void connect(turn)
  }

  function stop(): void {
    turn += 1
    clearTimeout(timer)
    rfb?.disconnect()
    clear()
    phase.value = 'closed'
    trouble.value = ''
  }

  function readSize(): void {
    const picture = canvas()
    if (picture) size.value = { width: picture.width, height: picture.height }
  }

  const probe = document.createElement('canvas')
  probe.width = probe.height = LOOK_SIZE
  const points = probe.getContext('2d', { willReadFrequently: true })
  // a point is the mean of what it stands for
  if (points) points.imageSmoothingQuality = 'high'

  function look(): void {
    const picture = canvas()
    if (!picture || !points || picture.width === 0 || hidden) return
    points.drawImage(picture, 0, 0, LOOK_SIZE, LOOK_SIZE)
    const colours = new Uint32Array(points.getImageData(0, 0, LOOK_SIZE, LOOK_SIZE).data.buffer)
    blank.value = colours.every((colour) => colour === colours[0])
  }

  /** Presses the keys one after another and lets go of them the other way round. */
  function press(keys: readonly ScreenKey[]): void {
    for (const { keysym, code } of keys) rfb?.sendKey(keysym, code, true)
    for (const { keysym, code } of keys.toReversed()) rfb?.sendKey(keysym, code, false)
  }

  return {
    phase,
    trouble,
    blank,
    size,
    canvas,
    start,
    stop,
    press,
    setFit(next: boolean): void {
      fit = next
      if (rfb) rfb.scaleViewport = next
    },
    /** A picture that nobody sees is not fetched. */
    setHidden(next: boolean): void {
      hidden = next
      channel?.setPaused(next)
    },
  }
}
