import { describe, expect, test } from 'vitest'
import { GuestAgent } from '../../vmm/machine/agent'
import { GuestCommands } from '../../vmm/machine/guest-commands'
import { answerSyncs, ScriptedPort, type AgentRequest } from '../support/scripted-port'

function commandsWith(answer: (request: AgentRequest) => unknown) {
  const port = new ScriptedPort((request, self) => {
    answerSyncs(request, self)
    if (request.execute !== 'guest-sync-delimited') self.say({ return: answer(request) })
  })
  return { port, commands: new GuestCommands(new GuestAgent(port)) }
}

const NEVER_RIGHT = [null, true, 'text', [], {}, { return: 1 }]

const CALLS = {
  exec: (commands: GuestCommands) => commands.exec('/bin/true', []),
  execStatus: (commands: GuestCommands) => commands.execStatus(1),
  run: (commands: GuestCommands) => commands.run('/bin/true', []),
  open: (commands: GuestCommands) => commands.open('/etc/hostname', 'r'),
  read: (commands: GuestCommands) => commands.read(1),
}

const MALFORMED: Record<keyof typeof CALLS, unknown[]> = {
  exec: [...NEVER_RIGHT, { pid: '1' }, { pid: 1.5 }, { pid: null }, { pid: -1 }, { pid: 1e300 }],
  execStatus: [
    ...NEVER_RIGHT,
    { exited: 'yes' },
    { exited: true, exitcode: '0' },
    { exited: true, exitcode: 0.5 },
    { exited: true, exitcode: 1e300 },
    { exited: true, signal: [] },
    { exited: true, signal: -1 },
    { exited: true, 'out-data': 5 },
    { exited: true, 'err-data': {} },
  ],
  run: [...NEVER_RIGHT, { pid: '1' }, { pid: 1 }],
  open: [...NEVER_RIGHT, 1.5, '1', { handle: 1 }, 1e300],
  read: [
    ...NEVER_RIGHT,
    { eof: true },
    { 'buf-b64': 'eA==' },
    { 'buf-b64': 5, eof: true },
    { 'buf-b64': 'eA==', eof: 'yes' },
    { 'buf-b64': 'x'.repeat(200_000), eof: false },
  ],
}

const CASES = Object.entries(MALFORMED).flatMap(([name, answers]) =>
  answers.map((answer) => ({ name: name as keyof typeof CALLS, answer, shown: JSON.stringify(answer).slice(0, 60) })),
)

describe('GuestCommands', () => {
  test.each(CASES)('$name takes $shown for what it is: malformed', async ({ name, answer }) => {
    const { commands } = commandsWith(() => answer)

    const failure: unknown = await CALLS[name](commands).catch((error: unknown) => error)

    expect(failure).toMatchObject({ kind: 'guest', message: expect.stringContaining('malformed') })
  })

  test('base64 that is none gives bytes all the same, never more than were sent', async () => {
    const { commands } = commandsWith(() => ({ 'buf-b64': '!!!@@@eA\u0000\u202e', eof: true }))

    expect((await commands.read(1)).bytes.byteLength).toBeLessThan(10)
  })

  test('a program is run to its end', async () => {
    const answers = [{ pid: 7 }, { exited: false }, { exited: true, exitcode: 3, 'out-data': 'aGk=' }]
    const { commands } = commandsWith(() => answers.shift())

    const status = await commands.run('/bin/sh', ['-c', 'exit 3'])

    expect(status).toMatchObject({ exitCode: 3, signal: null })
    expect(Buffer.from(status.stdout).toString()).toBe('hi')
  })

  test('a program that never ends is given up on', async () => {
    const { commands } = commandsWith(({ execute }) => (execute === 'guest-exec' ? { pid: 7 } : { exited: false }))

    await expect(commands.run('/bin/sleep', ['1000'], { withinMs: 50 })).rejects.toMatchObject({ kind: 'timeout' })
  })

  test('a long file is written in pieces that fit a serial buffer', async () => {
    const written: string[] = []
    const { port, commands } = commandsWith(({ arguments: args }) => {
      written.push(String(args['buf-b64']))
      return { count: 1 }
    })
    const content = Buffer.alloc(100_000, 'abc')

    await commands.write(1, content)

    expect(Buffer.concat(written.map((piece) => Buffer.from(piece, 'base64'))).equals(content)).toBe(true)
    expect(Math.max(...port.requests.map((request) => JSON.stringify(request).length))).toBeLessThan(32 * 1024)
  })
})
