import { setTimeout as delay } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { GuestAgent } from '../../vmm/machine/agent'
import { GuestExec } from '../../vmm/machine/exec'
import { GuestCommands, READ_BYTES } from '../../vmm/machine/guest-commands'
import { answerSyncs, ScriptedPort, type AgentRequest } from '../support/scripted-port'

const FULL = { 'buf-b64': Buffer.alloc(READ_BYTES, 'x').toString('base64'), eof: false }
const EMPTY = { 'buf-b64': '', eof: true }

/** A guest in which every command has process id 7, and whose files are read as `read` says. */
function guest(read: (handle: number) => object, status: () => object) {
  const opened: string[] = []
  const answers: Record<string, (args: Record<string, unknown>) => unknown> = {
    'guest-file-open': ({ path }) => opened.push(String(path)),
    'guest-file-read': ({ handle }) => read(Number(handle)),
    'guest-exec': () => ({ pid: 7 }),
    'guest-exec-status': status,
  }
  const port = new ScriptedPort((request: AgentRequest, self) => {
    answerSyncs(request, self)
    if (request.execute !== 'guest-sync-delimited')
      self.say({ return: answers[request.execute]?.(request.arguments) ?? {} })
  })
  return { port, commands: new GuestCommands(new GuestAgent(port)) }
}

function reads(port: ScriptedPort): number {
  return port.requests.filter(({ execute }) => execute === 'guest-file-read').length
}

describe('GuestExec', () => {
  test('output is handed on in pieces, and how the command ended at last', async () => {
    const left = [FULL, FULL, { 'buf-b64': 'ZW5k', eof: true }]
    const STDOUT = 2
    const { commands } = guest(
      (handle) => (handle === STDOUT ? left.shift() : undefined) ?? EMPTY,
      () => ({ exited: true, exitcode: 4 }),
    )
    const pieces: number[] = []

    const exec = await GuestExec.start(commands, ['true'])
    const end = await exec.follow(({ stdout }) => void pieces.push(stdout.byteLength))

    expect(end).toEqual({ exitCode: 4, signal: null })
    expect(pieces).toEqual([READ_BYTES, READ_BYTES, 3])
  })

  test('output without end is read no faster than it is taken', async () => {
    const { port, commands } = guest(
      () => FULL,
      () => ({ exited: true, exitcode: 0 }),
    )
    let takeMore = () => {}

    const exec = await GuestExec.start(commands, ['yes'])
    void exec.follow(() => new Promise((resolve) => (takeMore = resolve)))
    await delay(50)
    const untaken = reads(port)
    takeMore()
    await delay(50)

    expect(untaken).toBe(1)
    expect(reads(port)).toBe(2)
  })

  test('a guest that falls silent or talks nonsense fails the command with kind guest', async () => {
    const { commands } = guest(
      () => EMPTY,
      () => ({ exited: 'perhaps' }),
    )

    const exec = await GuestExec.start(commands, ['true'])

    await expect(exec.follow(() => undefined)).rejects.toMatchObject({ kind: 'guest' })
  })
})
