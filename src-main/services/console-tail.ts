import { readFile, writeFile } from 'node:fs/promises'
import type { Scrollback } from '../../vmm/machine/scrollback'

/** How much of the console goes with a saved state, bytes. */
const TAIL_BYTES = 64 * 1024

/**
 * Questions to the terminal (DSR, DA, DECRQM, XTVERSION, DECRQSS, colours). Whoever asked them has its answer or is
 * gone; a terminal that answered them again would type into the guest. (xterm's ctlseqs, "Functions using CSI".)
 */
const QUESTIONS = [
  // eslint-disable-next-line no-control-regex -- these sequences begin with ESC
  /\x1b\[[?>=]?[0-9;]*(?:[nc]|\$p|q)/g,
  // eslint-disable-next-line no-control-regex -- and may end with BEL
  /\x1b\][0-9;]*;\?(?:\x07|\x1b\\)/g,
  // eslint-disable-next-line no-control-regex -- as above
  /\x1bP\$q[^\x1b]{0,16}\x1b\\/g,
]

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
  const bytes = await readFile(file).catch(() => Buffer.alloc(0))
  const text = bytes.subarray(-TAIL_BYTES).toString('latin1')
  return Buffer.from(
    QUESTIONS.reduce((left, question) => left.replace(question, ''), text),
    'latin1',
  )
}
