import { join } from 'node:path'
import sqlite3 from 'sqlite3'
import { connectClient } from './contract'
import { ensurePrivateFolder } from './data-folder'
import { connectLocal } from './local-socket'
import { socketAddress } from './socket-address'
import { errorCode, VmmError } from '../vmm/model/errors'

/** How long to wait for a main that holds the folder and does not answer: it may be starting or closing. */
const PATIENCE_MS = 15_000
const PAUSE_MS = 100

/** Either this process is the one main of the data folder, or another one is and has been asked to show itself. */
export type Instance = { first: true; release(): Promise<void> } | { first: false; url: string }

/** Becomes the main of `folder`, or hands over to the one there is. */
export async function becomeMain(folder: string, patienceMs = PATIENCE_MS): Promise<Instance> {
  ensurePrivateFolder(folder)
  const deadline = Date.now() + patienceMs
  for (;;) {
    const release = await lockFolder(folder)
    if (release) return { first: true, release }
    const shown = await askToShow(folder)
    if (shown) return { first: false, url: shown.url }
    if (Date.now() > deadline) {
      throw new VmmError('conflict', `Another Vivarium uses '${folder}' and does not answer.`, {
        hint: 'End that one, or set VIVARIUM_HOME to another folder.',
      })
    }
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/**
 * Takes the lock of `folder`; null when somebody has it. It is SQLite's own lock on an empty database, which the
 * operating system drops when the process ends, however it ends. The returned function gives it back.
 */
export async function lockFolder(folder: string): Promise<(() => Promise<void>) | null> {
  const database = await openDatabase(join(folder, 'main.lock'))
  const close = (): Promise<void> => new Promise((resolve) => database.close(() => resolve()))
  try {
    await new Promise<void>((resolve, reject) => {
      database.configure('busyTimeout', 0)
      database.exec('BEGIN EXCLUSIVE', (error) => (error ? reject(error) : resolve()))
    })
    return close
  } catch (error) {
    await close()
    if (errorCode(error) === 'SQLITE_BUSY') return null
    throw error
  }
}

function openDatabase(file: string): Promise<sqlite3.Database> {
  return new Promise((resolve, reject) => {
    const database = new sqlite3.Database(file, (error) => (error ? reject(error) : resolve(database)))
  })
}

async function askToShow(folder: string): Promise<{ url: string } | null> {
  try {
    const connection = await connectLocal(socketAddress(folder))
    try {
      const left = connection.closed.then(() => null)
      return await Promise.race([connectClient(connection).call('app.show', {}), left])
    } finally {
      connection.close()
    }
  } catch {
    return null
  }
}
