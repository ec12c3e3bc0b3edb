import { afterAll, beforeAll, expect, test } from 'vitest'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'
import { openVivarium, shell, startDomain, type TestVivarium } from '../support/vivarium'

const folder = temporaryFolderForFile()
const MIB = 1024 * 1024
let vivarium: TestVivarium
let id = ''

beforeAll(async () => {
  await seedStarter(folder)
  vivarium = await openVivarium(folder)
  id = await startDomain(vivarium.call, 'Hostile')
})

afterAll(() => vivarium.close())

test('a flood on the console stays bounded, for a reader that keeps up and for one that does not', async () => {
  const { call } = vivarium
  const before = process.memoryUsage().rss
  const { end: start } = await call('console.read', { id, offset: 0 })
  // raw bytes of every kind: controls, escape sequences, broken UTF-8
  const line =
    '(printf "\\033]0;title\\007\\033[31m\\377\\376\\200\\033[2J\\033]52;c;aGk=\\007"; head -c 3000 /dev/urandom) > /root/junk'
  await shell(call, id, line)
  await call('console.write', {
    id,
    bytes: Buffer.from('for i in $(seq 2500); do cat /root/junk; done; echo; echo the-end\r'),
  })
  let offset = start
  let skipped = 0
  let longest = 0
  for (let seen = ''; !seen.includes('\nthe-end');) {
    const asked = performance.now()
    const chunk = await call('console.read', { id, offset, waitMs: 20_000 })
    longest = Math.max(longest, performance.now() - asked)
    expect(chunk.bytes.byteLength, 'the flood goes on').toBeGreaterThan(0)
    expect(chunk.bytes.byteLength).toBeLessThanOrEqual(256 * 1024)
    skipped += chunk.offset - offset
    offset = chunk.offset + chunk.bytes.byteLength
    seen = (seen + Buffer.from(chunk.bytes).toString('latin1')).slice(-200)
  }
  expect(offset - start).toBeGreaterThan(7 * MIB)
  expect(skipped).toBeLessThan(offset - start)
  expect(process.memoryUsage().rss - before).toBeLessThan(200 * MIB)
  const late = await call('console.read', { id, offset: start })
  expect(late.offset, 'a late reader begins at what is kept').toBeGreaterThanOrEqual(offset - MIB)
  expect(await shell(call, id, 'echo still here')).toBe('still here')
})

test('an agent that talks nonsense is given up on, not believed', async () => {
  const { call } = vivarium
  // the agent's own line, used by the guest for something else
  await shell(
    call,
    id,
    'setsid sh -c "sleep 1; while :; do head -c 100000 /dev/urandom; echo \'{}\'; done > /dev/ttyS1" >/dev/null 2>&1 &',
  )
  const outcome = await Promise.race([
    shell(call, id, 'sleep 3; echo survived').catch((error: unknown) => error),
    new Promise((resolve) => setTimeout(resolve, 60_000, 'hung')),
  ])
  expect(outcome).not.toBe('hung')
  expect((await call('domains.get', { id })).state).toBe('running')
  expect((await call('domains.forceOff', { id })).state).toBe('off')
})
