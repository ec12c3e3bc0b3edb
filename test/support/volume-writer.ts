import { writeSync } from 'node:fs'
import { newVolumeStore, volumeDisk } from './volume-disks'
import { changesOf, SECTOR, SECTORS, stamp } from './volume-changes'

/** A process that changes a volume until it is killed, and says on its standard output what is on the disk for sure. */
async function run(folder: string, seed: number): Promise<void> {
  const store = newVolumeStore(folder)
  const disk = volumeDisk(folder, 'disk', { bytes: SECTORS * SECTOR })
  const volume = await store.open(disk, 'domain')
  writeSync(1, 'ready\n')
  for (const change of changesOf(seed)) {
    if (change.kind === 'write') volume.write(change.at, stamp(change.number, change.length))
    else if (change.kind === 'zero') volume.zero(change.at, change.length)
    else if (change.kind === 'flush') await volume.flush()
    else await store.copyLayer(disk.layer, volumeDisk(folder, `copy-${change.number}`).layer)
    if (change.kind === 'flush' || change.kind === 'copy') writeSync(1, `${change.number}\n`)
  }
}

void run(process.argv[2] ?? '', Number(process.argv[3]))
