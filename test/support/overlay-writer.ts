import { writeSync } from 'node:fs'
import { join } from 'node:path'
import { HostFolderProvider } from '../../vmm/files/host-folder'
import type { Provider } from '../../vmm/files/provider'
import { stepsOf, takeStep } from './overlay-steps'
import { nodeAt, openOverlay } from './overlay-trees'

/** Small enough that a journal is written anew many times in a life. */
const COMPACT_LEAST = 6000

/** A process that changes an overlay until it is killed, and says on its standard output what is on the disk for sure. */
async function run(folder: string, seed: number, first: number): Promise<void> {
  const lower = new HostFolderProvider({ folder: join(folder, 'host'), writable: false })
  const overlay = openOverlay(folder, lower, { compactLeast: COMPACT_LEAST })
  writeSync(1, 'ready\n')
  for (const step of stepsOf(seed, first)) {
    takeStep(overlay, step)
    if (step.then === 'flush') await overlay.flush()
    if (step.then === 'sync') await syncFile(overlay, step.path)
    if (step.then === 'copy') await overlay.snapshot(join(folder, `copy-${step.number}`))
    if (step.then === 'flush' || step.then === 'sync' || step.then === 'copy') writeSync(1, `${step.number}\n`)
    else if (step.then === 'pause') await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

/** As a guest does who syncs one file. */
async function syncFile(overlay: Provider, path: string): Promise<void> {
  const node = nodeAt(overlay, path)
  const file = overlay.open(node, true)
  try {
    await file.sync(true)
  } finally {
    file.close()
    overlay.drop(node)
  }
}

void run(process.argv[2] ?? '', Number(process.argv[3]), Number(process.argv[4]))
