import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { becomeMain, lockFolder } from '../../src-main/instance'
import { serveLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { scriptedServices } from '../support/scripted-services'
import { temporaryFolder } from '../support/temporary-folder'

test('one main per data folder: the lock is free again when given back', async () => {
  const folder = temporaryFolder()

  const first = await lockFolder(folder)
  const second = await lockFolder(folder)
  await first?.()
  const third = await lockFolder(folder)

  expect(first).not.toBeNull()
  expect(second).toBeNull()
  expect(third).not.toBeNull()
  await third?.()
})

test('kill -9 of the first main frees the folder', async () => {
  const folder = temporaryFolder()
  const holder = await holdFromAnotherProcess(folder)
  expect(await lockFolder(folder)).toBeNull()

  holder.kill('SIGKILL')
  await once(holder, 'exit')

  const release = await lockFolder(folder)
  expect(release).not.toBeNull()
  await release?.()
})

test('the second main hands over to the first', async () => {
  const folder = temporaryFolder()
  const first = await becomeMain(folder)
  let shown = 0
  const { services } = scriptedServices({
    'app.show': () => {
      shown++
      return { url: 'http://127.0.0.1:1/' }
    },
  })
  onTestFinished(await serveLocal(services, socketAddress(folder)))

  const second = await becomeMain(folder)

  expect(first.first).toBe(true)
  expect(second).toEqual({ first: false, url: 'http://127.0.0.1:1/' })
  expect(shown).toBe(1)
  if (first.first) await first.release()
})

test('the second main waits for one that is closing, and then takes its place', async () => {
  const folder = temporaryFolder()
  const first = await becomeMain(folder)

  const second = becomeMain(folder)
  await new Promise((resolve) => setTimeout(resolve, 300))
  if (first.first) await first.release()

  const now = await second
  expect(now.first).toBe(true)
  if (now.first) await now.release()
})

test('a first main that never answers is named', async () => {
  const folder = temporaryFolder()
  const holder = await holdFromAnotherProcess(folder)
  onTestFinished(() => {
    holder.kill('SIGKILL')
  })

  await expect(becomeMain(folder, 200)).rejects.toMatchObject({ kind: 'conflict' })
})

/** A process that takes the lock as `lockFolder` does, in plain JavaScript. */
async function holdFromAnotherProcess(folder: string): Promise<ChildProcess> {
  const script = join(folder, 'hold.cjs')
  const sqlite = createRequire(import.meta.url).resolve('sqlite3')
  writeFileSync(
    script,
    `const { Database } = require(${JSON.stringify(sqlite)})
     const database = new Database(${JSON.stringify(join(folder, 'main.lock'))}, () =>
       database.exec('BEGIN EXCLUSIVE', (error) => process.send(String(error))))
     setInterval(() => {}, 1000)`,
  )
  const child = fork(script, { execArgv: [] })
  const [answer] = await once(child, 'message')
  expect(answer).toBe('null')
  return child
}
