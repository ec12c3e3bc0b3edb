import type { Machine } from '../../vmm/engine/machine'
import { GuestAgent } from '../../vmm/machine/agent'
import { GuestCommands } from '../../vmm/machine/guest-commands'
import type { MachineSpec } from '../../vmm/engine/machine-spec'
import { NO_LIMITS } from '../../vmm/model/hardware'
import type { VmmError } from '../../vmm/model/errors'

/** The hardware of a domain for which nothing special was chosen. */
export const PLAIN_PC = {
  name: 'test',
  cpus: 1,
  cds: [],
  nics: [{ mac: '52:54:00:12:34:56', model: 'virtio' }],
  filesCard: false,
  firmware: 'bios',
  uefiVariables: '',
  machineType: 'auto',
  accelerator: 'auto',
  diskBus: 'auto',
  bootOrder: ['disk', 'cdrom'],
  diskLimits: NO_LIMITS,
  agent: 'serial',
} as const satisfies Partial<MachineSpec>

/** A machine with its agent and what its console has said so far. */
export interface Guest {
  machine: Machine
  commands: GuestCommands
  agent: GuestAgent
  console: () => string
}

export function guestOf(machine: Machine): Guest {
  let said = ''
  machine.console.onData((bytes) => (said += Buffer.from(bytes).toString('latin1')))
  const agent = new GuestAgent(machine.agentPort)
  return { machine, agent, commands: new GuestCommands(agent), console: () => said }
}

export async function shell({ commands }: Guest, line: string): Promise<string> {
  const { stdout } = await commands.run('/bin/sh', ['-c', line], { withinMs: 30_000 })
  return Buffer.from(stdout).toString().trim()
}

/** Why a machine did not start; one that did is killed. */
export function failureOf(work: Promise<Machine>): Promise<VmmError | 'it started'> {
  return work.then(
    async (machine) => {
      await machine.kill()
      return 'it started' as const
    },
    (error: unknown) => error as VmmError,
  )
}
