import type { Command } from 'commander'
import { setTimeout as sleep } from 'node:timers/promises'
import { VmmError } from '../../vmm/model/errors'
import { CHUNK_LIMIT, type DomainState, type DomainView, safeText } from '../contract'
import { findDomain } from './find'
import type { CliSession } from './session'

/** Ctrl+] leaves. */
const WAY_OUT = 0x1d
const WAIT_MS = 20_000
/** Answers of the terminal to what the guest asked it long ago arrive within this, and are not for the guest. */
const ECHO_MS = 100
const LIVE: readonly DomainState[] = ['starting', 'running', 'paused', 'stopping', 'saving']
/** Undoes what a guest may have set: colours, hidden cursor, key, mouse and paste modes. */
const RESTORE = '\x1b[0m\x1b[?25h\x1b[?1l\x1b>\x1b[?1000l\x1b[?1002l\x1b[?1003l\x1b[?1006l\x1b[?2004l'

/** console: the guest's serial console in this terminal. */
export function addConsoleCommand(program: Command, cli: CliSession): void {
  program
    .command('console <domain>')
    .description("type into a guest's console; Ctrl+] leaves")
    .action(async (given: string) => {
      const domain = await findDomain(cli, given)
      if (cli.json) return printScrollback(cli, domain)
      if (!process.stdin.isTTY || !process.stdout.isTTY) {
        throw new VmmError('invalid', 'The console needs a terminal.', {
          hint: "Use 'vivarium exec' for commands, or 'vivarium console --json' for what is on it.",
        })
      }
      await attach(cli, domain)
    })
}

async function printScrollback(cli: CliSession, { id }: DomainView): Promise<void> {
  const parts: Uint8Array[] = []
  const end = await readTo(cli, id, (bytes) => parts.push(bytes))
  cli.print({ id, end, text: Buffer.concat(parts).toString('utf8') }, '')
}

/** Hands all that is on the console to `show`; returns the position after it. */
async function readTo(cli: CliSession, id: string, show: (bytes: Uint8Array) => void): Promise<number> {
  let position = 0
  for (;;) {
    const chunk = await cli.call('console.read', { id, offset: position, maxBytes: CHUNK_LIMIT, waitMs: 0 })
    show(chunk.bytes)
    position = chunk.offset + chunk.bytes.byteLength
    if (position >= chunk.end || chunk.bytes.byteLength === 0) return position
  }
}

async function attach(cli: CliSession, domain: DomainView): Promise<void> {
  const { id, name } = domain
  process.stderr.write(`Console of ${safeText(name)}. Ctrl+] leaves it.\r\n`)
  const position = await readTo(cli, id, (bytes) => process.stdout.write(bytes))
  if (!LIVE.includes(domain.state)) {
    process.stderr.write(`\r\n${safeText(name)} is ${domain.state}. 'vivarium start' starts it.\r\n`)
    return
  }
  const leave = new AbortController()
  const restore = takeTerminal(leave)
  try {
    resize(cli, id)
    process.stdout.on('resize', () => resize(cli, id))
    await sleep(ECHO_MS)
    const typing = passKeys(cli, id, leave)
    await Promise.race([showOutput(cli, id, position, leave.signal), watchState(cli, id, leave), typing])
  } finally {
    restore()
  }
  process.stderr.write(`\r\n${safeText(stringReason(leave.signal))}\r\n`)
  const signal = leave.signal.reason === 'SIGTERM' ? 143 : leave.signal.reason === 'SIGHUP' ? 129 : 0
  process.exitCode = signal
}

/** Puts the terminal into raw mode; the returned function puts it back, and so does every other way to end. */
function takeTerminal(leave: AbortController): () => void {
  const { stdin, stdout } = process
  const restore = (): void => {
    if (!stdin.isRaw) return
    stdin.setRawMode(false)
    stdin.pause()
    stdout.write(RESTORE)
  }
  stdin.setRawMode(true)
  // read and dropped until the scrollback has been shown
  stdin.resume()
  process.once('exit', restore)
  for (const signal of ['SIGTERM', 'SIGHUP', 'SIGINT'] as const) process.once(signal, () => leave.abort(signal))
  return restore
}

/** Resolves at the way out. What is typed goes to the guest in order. */
function passKeys(cli: CliSession, id: string, leave: AbortController): Promise<void> {
  return new Promise((resolve, reject) => {
    let sent: Promise<unknown> = Promise.resolve()
    const send = (bytes: Uint8Array<ArrayBuffer>): void => {
      sent = sent.then(() => cli.call('console.write', { id, bytes })).catch(reject)
    }
    leave.signal.addEventListener('abort', () => resolve())
    process.stdin.on('data', (keys: Buffer) => {
      const out = keys.indexOf(WAY_OUT)
      const typed = out < 0 ? keys : keys.subarray(0, out)
      for (let at = 0; at < typed.byteLength; at += CHUNK_LIMIT) {
        send(new Uint8Array(typed.subarray(at, at + CHUNK_LIMIT)))
      }
      if (out >= 0) leave.abort('Left the console. The guest goes on.')
    })
  })
}

async function showOutput(cli: CliSession, id: string, from: number, left: AbortSignal): Promise<void> {
  let position = from
  for (;;) {
    const chunk = await cli.call('console.read', { id, offset: position, maxBytes: CHUNK_LIMIT, waitMs: WAIT_MS })
    if (left.aborted) return
    if (!process.stdout.write(chunk.bytes)) await new Promise((resolve) => process.stdout.once('drain', resolve))
    // a guest that was started anew counts from nothing
    position = chunk.end < position ? 0 : chunk.offset + chunk.bytes.byteLength
  }
}

/** Leaves when the guest has no machine any more. */
async function watchState(cli: CliSession, id: string, leave: AbortController): Promise<void> {
  const client = await cli.client()
  await new Promise<void>((resolve, reject) => {
    leave.signal.addEventListener('abort', () => resolve())
    client.onEvent((event) => {
      if (event.topic !== 'domains') return
      const now = event.payload.changed.find((domain) => domain.id === id)
      if (event.payload.removed.includes(id)) leave.abort('The domain is gone.')
      else if (now && !LIVE.includes(now.state)) leave.abort(`${now.name} is ${now.state}. ${now.stateReason}`.trim())
    })
    client.call('events.subscribe', { topics: ['domains'] }).catch(reject)
  })
}

function stringReason(signal: AbortSignal): string {
  return typeof signal.reason === 'string' ? signal.reason : 'The console has ended.'
}

function resize(cli: CliSession, id: string): void {
  const { columns, rows } = process.stdout
  if (columns >= 2 && rows >= 1) cli.call('console.resize', { id, columns, rows }).catch(() => {})
}
