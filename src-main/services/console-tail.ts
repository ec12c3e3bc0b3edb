import { readFile, writeFile } from 'node:fs/promises'
import type { Scrollback } from '../../vmm/machine/scrollback'

/** How much of the console goes with a saved state, bytes. */
const TAIL_BYTES = 64 * 1024

/** Keeps the last stretch of a console beside the state it belongs to. */
export async function writeConsole(file: string, scrollback: Scrollback): Promise<void> {
  const from = Math.max(0, scrollback.end - TAIL_BYTES)
  await writeFile(file, scrollback.read(from, TAIL_BYTES).bytes, { mode: 0o600 })
}

/** Shows a kept stretch again; one that is missing is not missed. */
export async function replayConsole(file: string, scrollback: Scrollback): Promise<void> {
  const bytes = await readTail(file)
  if (bytes.byteLength > 0) scrollback.append(bytes)
}

/** The kept stretch without its last line, which is the prompt that the guest is about to print anew. */
export async function replayConsoleLines(file: string, scrollback: Scrollback): Promise<void> {
  const bytes = await readTail(file)
  scrollback.append(bytes.subarray(0, bytes.lastIndexOf(0x0a) + 1))
}

async function readTail(file: string): Promise<Uint8Array> {
  return await readFile(file).then(
    (bytes) => bytes.subarray(-TAIL_BYTES),
    () => new Uint8Array(),
  )
}
