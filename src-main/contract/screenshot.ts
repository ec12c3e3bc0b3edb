import type { ContractClient } from './wire'

/** What the screen of a domain shows now, as a PNG file; a large one comes in parts. */
export async function takeScreenshot(call: ContractClient['call'], id: string): Promise<Uint8Array<ArrayBuffer>> {
  const first = await call('display.screenshot', { id })
  const png = new Uint8Array(first.size)
  png.set(first.bytes)
  for (let offset = first.bytes.byteLength; offset < first.size;) {
    const { bytes } = await call('display.screenshot', { id, shot: first.shot, offset })
    png.set(bytes, offset)
    offset += bytes.byteLength
  }
  return png
}
