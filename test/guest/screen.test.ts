import { beforeAll, expect, test } from 'vitest'
import { serialOutput, startScreenDomain } from '../support/screen-guest'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { openVivarium, type Call, type TestVivarium } from '../support/vivarium'

const home = temporaryFolderForFile()
const folder = temporaryFolderForFile()
let vivarium: TestVivarium
let id = ''

beforeAll(async () => {
  await seedStarter(home)
  vivarium = await openVivarium(home)
  id = await startScreenDomain(vivarium.call, folder)
  return () => vivarium.close()
})

/** A viewer that types `letter` by its keysym, and never asks for a picture. */
async function press(call: Call, letter: string): Promise<void> {
  const { displayId } = await call('display.open', { id })
  const key = (down: number) => Buffer.of(4, down, 0, 0, 0, 0, 0, letter.charCodeAt(0))
  const greeting = Buffer.from('RFB 003.008\n\x01\x01', 'latin1')
  await call('display.write', { displayId, bytes: Buffer.concat([greeting, key(1), key(0)]) })
  await call('display.close', { displayId })
}

test('a guest that waits for its screen goes on when nobody looks', async () => {
  await press(vivarium.call, 'w')

  await serialOutput(vivarium.call, id, 'W')
  expect((await vivarium.call('domains.get', { id })).state).toBe('running')
})
