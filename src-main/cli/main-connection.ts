import { spawn, type ChildProcess } from 'node:child_process'
import { closeSync, openSync, readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { VmmError } from '../../vmm/model/errors'
import { HEADLESS_ENTRY } from '../built-files'
import { connectClient, type ContractClient, safeText } from '../contract'
import { dataFolder, ensurePrivateFolder } from '../data-folder'
import { connectLocal, type LocalConnection } from '../local-socket'
import { socketAddress } from '../socket-address'

/** How long a main may take to come up. */
const PATIENCE_MS = 30_000
const PAUSE_MS = 40
/** The log starts anew when it is longer than this, bytes. */
const LOG_LIMIT = 1024 * 1024

export interface MainConnection {
  readonly client: ContractClient
  close(): void
}

/** Connects to the running Vivarium, or starts a headless one in the background, which ends by itself later. */
export async function connectToMain(): Promise<MainConnection> {
  const folder = dataFolder()
  const deadline = Date.now() + PATIENCE_MS
  let started: ChildProcess | null = null
  for (;;) {
    const connection = await tryConnect(socketAddress(folder))
    if (connection) return connection
    if (started?.exitCode) throw couldNotStart(folder)
    // status 0: another main was faster, and may be closing already
    if (!started || started.exitCode === 0) started = startMain(folder)
    if (Date.now() > deadline) throw couldNotStart(folder)
    await new Promise((resolve) => setTimeout(resolve, PAUSE_MS))
  }
}

/** Null when nobody answers: a main that is closing takes connections and drops them. */
async function tryConnect(address: string): Promise<MainConnection | null> {
  try {
    const connection = await connectLocal(address)
    const client = endingWith(connection, connectClient(connection))
    await client.call('events.subscribe', { topics: [] })
    return { client, close: () => connection.close() }
  } catch {
    return null
  }
}

/** The same client, whose calls are refused when the connection ends instead of hanging. */
function endingWith(connection: LocalConnection, client: ContractClient): ContractClient {
  const ended = connection.closed.then(() => {
    throw new VmmError('cancelled', 'Vivarium ended while this was under way.', {
      hint: "Run 'vivarium ls' to see how things stand.",
    })
  })
  ended.catch(() => {})
  return { ...client, call: (name, args) => Promise.race([client.call(name, args), ended]) }
}

function startMain(folder: string): ChildProcess {
  ensurePrivateFolder(folder)
  const file = logFile(folder)
  const log = openSync(file, sizeOf(file) > LOG_LIMIT ? 'w' : 'a', 0o600)
  const child = spawn(process.execPath, [HEADLESS_ENTRY, '--on-demand'], {
    cwd: homedir(),
    detached: true,
    stdio: ['ignore', log, log],
    windowsHide: true,
  })
  closeSync(log)
  child.on('error', () => {})
  child.unref()
  return child
}

function couldNotStart(folder: string): VmmError {
  const lines = readText(logFile(folder)).trim().split('\n')
  const telling = lines.findLast((line) => /error|could not/i.test(line) && !line.startsWith(' ')) ?? lines.at(-1) ?? ''
  return new VmmError('engine', `Vivarium could not be started in the background: ${safeText(telling)}`, {
    hint: `Its log is ${logFile(folder)}.`,
  })
}

const logFile = (folder: string): string => join(folder, 'headless.log')

function sizeOf(file: string): number {
  return statSync(file, { throwIfNoEntry: false })?.size ?? 0
}

function readText(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    return ''
  }
}
