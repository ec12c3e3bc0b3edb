import { setTimeout as sleep } from 'node:timers/promises'
import { VmmError } from '../../vmm/model/errors'
import type { CliSession } from './session'

/** How long a guest that boots may take until its agent answers. */
const PATIENCE_MS = 180_000
const PAUSE_MS = 50

/** Waits while the guest boots; returns when commands can be run in it, and throws when they never will. */
export async function untilAgentAnswers(cli: CliSession, id: string, stopped: AbortSignal): Promise<void> {
  const deadline = Date.now() + PATIENCE_MS
  for (;;) {
    const { agent, state, stateReason } = await cli.call('domains.get', { id })
    if (agent === 'ready') return
    if (stopped.aborted) throw new VmmError('cancelled', 'This was interrupted.')
    if (agent === 'none') {
      throw new VmmError('unsupported', 'This guest has no agent, so nothing can be run in it from outside.', {
        hint: "Use its console: 'vivarium console'.",
      })
    }
    if (state !== 'running' && state !== 'starting') {
      throw new VmmError('state', `The guest is ${state}. ${stateReason}`.trim(), { hint: 'Start or resume it first.' })
    }
    if (Date.now() > deadline) throw new VmmError('timeout', 'The guest did not answer in time.')
    await sleep(PAUSE_MS)
  }
}
