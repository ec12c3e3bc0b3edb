import type { Page } from 'playwright-core'
import { writeScreenFloppy } from './screen-floppy'
import { finish, type Call } from './vivarium'

/** A running domain of the guest that speaks to its screen; `folder` is for its image. */
export async function startScreenDomain(call: Call, folder: string, name = 'pictures'): Promise<string> {
  // the starter image brings a BIOS
  await finish(call, call('images.prepareStarter', {}))
  const path = await writeScreenFloppy(folder)
  const { resultId: imageId } = await finish(call, call('images.import', { sources: [{ path }], kind: 'floppy' }))
  const { id } = await call('domains.create', { spec: { name, engine: 'embedded', imageId, memoryMiB: 32 } })
  await finish(call, call('domains.start', { id }))
  await serialOutput(call, id, 'R')
  return id
}

/** Resolves when the guest has written `letter` to its serial port. */
export async function serialOutput(call: Call, id: string, letter: string): Promise<void> {
  for (let offset = 0, said = ''; !said.includes(letter);) {
    const chunk = await call('console.read', { id, offset, waitMs: 5000 })
    said = Buffer.from(chunk.bytes).toString('latin1')
    offset = chunk.offset + chunk.bytes.byteLength
  }
}

export const canvasOf = (page: Page) => page.getByTestId('screen').locator('canvas')

export interface Picture {
  width: number
  height: number
  /** Pixels that are not black, and those that are plainly red. */
  lit: number
  red: number
}

/** What the page shows of the guest's screen. */
export function picture(page: Page): Promise<Picture> {
  return canvasOf(page).evaluate((canvas: HTMLCanvasElement) => {
    const { width, height } = canvas
    const found = { width, height, lit: 0, red: 0 }
    if (width === 0 || height === 0) return found
    const pixels = canvas.getContext('2d')?.getImageData(0, 0, width, height).data ?? []
    for (let at = 0; at < pixels.length; at += 4) {
      const [red = 0, green = 0, blue = 0] = pixels.slice(at, at + 3)
      if (red + green + blue > 0) found.lit++
      if (red > 100 && green + blue < 60) found.red++
    }
    return found
  })
}
