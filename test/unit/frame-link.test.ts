import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'
import path from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { FrameLink } from '../../vmm/net/frame-link'
import { framed, FrameSplitter } from '../../vmm/net/frame-splitter'
import { temporaryFolder } from '../support/temporary-folder'

/** A link to a card that listens, and what the card gets. */
async function linked() {
  const file = path.join(temporaryFolder(), 'card')
  const got: string[] = []
  const splitter = new FrameSplitter()
  const server = createServer((socket) => {
    socket.on('data', (chunk) =>
      splitter.push(chunk, (buffer, at, end) => void got.push(buffer.toString('latin1', at, end))),
    )
  })
  await new Promise<void>((resolve) => server.listen(file, resolve))
  const ignore = () => undefined
  const link = new FrameLink({ path: file, onFrame: ignore, onChunkEnd: ignore, onDrain: ignore })
  const [socket] = (await once(server, 'connection')) as [Socket]
  onTestFinished(() => {
    link.close()
    socket.destroy()
    server.close()
  })
  await expect.poll(() => link.linked).toBe(true)
  const send = (text: string) => link.send(Buffer.from(text), 0, text.length)
  return { link, send, got }
}

test('frames come in the order that they were sent in, however they were sent', async () => {
  const { link, send, got } = await linked()
  const sent: string[] = []
  for (let number = 0; number < 300; number++) {
    const text = `${number} ${'x'.repeat((number * 37) % 1500)}`
    sent.push(text)
    if (number % 7 === 0) link.write(framed(Buffer.from(text)))
    else send(text)
    if (number % 50 === 0) await new Promise((resolve) => setTimeout(resolve, number % 100 === 0 ? 3 : 0))
  }
  await expect.poll(() => got.length).toBe(300)
  expect(got).toEqual(sent)
})

test('a lone frame comes by itself, and each time anew', async () => {
  const { send, got } = await linked()
  for (const text of ['first', 'second', 'third']) {
    send(text)
    await expect.poll(() => got.at(-1)).toBe(text)
  }
})

test('nothing is sent once it is closed', async () => {
  const { link, send, got } = await linked()
  send('waits')
  link.close()
  await new Promise((resolve) => setTimeout(resolve, 20))
  expect(got).toEqual([])
})
