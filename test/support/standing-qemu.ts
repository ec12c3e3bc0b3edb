import { spawn, spawnSync } from 'node:child_process'
import { connect } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as delay } from 'node:timers/promises'
import { onTestFinished } from 'vitest'
import { RUN_FILES } from '../../vmm/engine/qemu-names'
import { QmpClient } from '../../vmm/engine/qmp'

/** Why there is no QEMU here, for the title of a skipped test; '' when there is. */
export const NO_QEMU = spawnSync('qemu-system-x86_64', ['--version']).status === 0 ? '' : '(needs QEMU)'

export interface StandingQemu {
  qmp: QmpClient
  /** A command of qemu-io(1) on a disk, by its device, as the guest would do it; what it says. */
  io(device: string, command: string): Promise<string>
  /** Ends it; resolves with its exit status. */
  quit(): Promise<number | null>
}

/** QMP has one client at a time: this is for what Vivarium has no use for. */
const SECOND_DOOR = [
  '-chardev',
  'socket,id=door,path=door.sock,server=on,wait=off',
  '-mon',
  'chardev=door,mode=control',
]

/** A real QEMU that was started with -S in `folder`: all its devices are there, and no guest runs. */
export async function standingQemu(words: readonly string[], folder: string): Promise<StandingQemu> {
  const [program = '', ...args] = words
  const child = spawn(program, [...args, ...SECOND_DOOR], { cwd: folder, stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const ended = new Promise<number | null>((resolve) => child.on('close', resolve))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  const qmp = await reach(join(folder, RUN_FILES.qmp), () => {
    if (child.exitCode !== null) throw new Error(`QEMU ended: ${said}`)
  })
  return {
    qmp,
    io: (device, command) => monitor(join(folder, 'door.sock'), `qemu-io -d ${device} "${command}"`),
    async quit() {
      await qmp.run('quit', {})
      return await ended
    },
  }
}

async function reach(path: string, check: () => void): Promise<QmpClient> {
  for (;;) {
    const client = await QmpClient.connect(path).catch(() => null)
    if (client) return client
    check()
    await delay(10)
  }
}

/** Runs one line of QEMU's human monitor. */
async function monitor(path: string, line: string): Promise<string> {
  const socket = connect(path)
  try {
    const run = (execute: string, args = {}) =>
      socket.write(`${JSON.stringify({ execute, arguments: args, id: execute })}\n`)
    run('qmp_capabilities')
    run('human-monitor-command', { 'command-line': line })
    for await (const answer of createInterface({ input: socket })) {
      const {
        id,
        return: said,
        error,
      } = JSON.parse(answer) as { id?: string; return?: unknown; error?: { desc: string } }
      if (id === 'human-monitor-command') return error ? error.desc : String(said)
    }
    throw new Error('QEMU closed its monitor')
  } finally {
    socket.destroy()
  }
}
