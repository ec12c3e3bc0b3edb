import { expect, onTestFinished, test } from 'vitest'
import { QemuLink } from '../../vmm/engine/qemu-link'
import { kindOf } from '../support/outcome'
import { ScriptedQmp } from '../support/scripted-qmp'
import { temporaryFolder } from '../support/temporary-folder'

function processThatLives() {
  let end: () => void = () => undefined
  const gone = new Promise<void>((resolve) => (end = resolve))
  onTestFinished(() => end())
  return { process: { gone }, end: () => end() }
}

async function linked(server: ScriptedQmp) {
  const { process, end } = processThatLives()
  const link = await QemuLink.open(server.path, process)
  onTestFinished(() => link.close())
  const back = () => new Promise<void>((resolve) => link.onReturn(resolve))
  return { link, end, back }
}

test('a link waits for a QEMU that is just starting', async () => {
  const server = new ScriptedQmp(temporaryFolder())
  const opened = linked(server)
  await new Promise((resolve) => setTimeout(resolve, 30))
  await server.listen()
  const { link } = await opened
  expect(await link.run('cont', {})).toEqual({})
})

test('a link is not made to a QEMU that ends, or that never answers', async () => {
  const { process, end } = processThatLives()
  const opened = QemuLink.open(`${temporaryFolder()}/none.sock`, process)
  end()
  await expect(opened).rejects.toMatchObject({ kind: 'engine', message: 'QEMU ended.' })

  const silent = await new ScriptedQmp(temporaryFolder(), undefined, null).listen()
  expect(await kindOf(QemuLink.open(silent.path, processThatLives().process, 50))).toBe('timeout')
})

test('a link that is lost is made anew, again and again, with the same listeners', async () => {
  const server = await new ScriptedQmp(temporaryFolder(), (asked, say) => {
    say({ event: 'STOP', data: {} })
    say({ return: {}, id: asked.id })
  }).listen()
  const { link, back } = await linked(server)
  let events = 0
  link.onEvent(() => (events += 1))
  for (let count = 0; count < 3; count += 1) {
    const again = back()
    server.hangUp()
    await again
    await link.run('stop', {})
    expect(events).toBe(count + 1)
  }
})

test('a guest whose QEMU cannot be reached for a while is left alone', async () => {
  const folder = temporaryFolder()
  const server = await new ScriptedQmp(folder).listen()
  const { link, back } = await linked(server)
  const again = back()
  await server.end()
  expect(await kindOf(link.run('cont', {}))).toBe('engine')
  await new ScriptedQmp(folder).listen()
  await again
  expect(await link.run('cont', {})).toEqual({})
})

test('a link that was closed stays so', async () => {
  const server = await new ScriptedQmp(temporaryFolder()).listen()
  const { link, end } = await linked(server)
  link.close()
  expect(await kindOf(link.run('cont', {}))).toBe('engine')
  end()
  expect(link.isClosed()).toBe(true)
  expect(server.asked.map(({ execute }) => execute)).toEqual(['qmp_capabilities'])
})
