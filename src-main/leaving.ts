import { type BrowserWindow, dialog } from 'electron'
import type { CallArgs, CallName, CallResult, Envelope } from './contract'
import { asVmmError, VmmError } from '../vmm/model/errors'
import { leaveQuestion } from './leave-question'
import type { Services } from './services/services'

export type Leave = 'save' | 'force-off' | 'cancel'

const CHOICES: readonly Leave[] = ['save', 'force-off', 'cancel']

/** For scripts and tests: answers the question on closing, and keeps native dialogs away. */
export function unattended(): Leave | null {
  return CHOICES.find((choice) => choice === process.env['VIVARIUM_UNATTENDED']) ?? null
}

/** Asks what to do with the guests that would end, when there are any. */
export async function askToLeave(services: Services, window: BrowserWindow): Promise<Leave> {
  const busy = services.busy()
  if (busy.machines === 0) return 'force-off'
  const given = unattended()
  if (given) return given
  const { response } = await dialog.showMessageBox(window, {
    type: 'question',
    title: 'Vivarium',
    ...leaveQuestion(busy),
    buttons: ['Save All', 'Force Off All', 'Cancel'],
    defaultId: 0,
    cancelId: 2,
    noLink: true,
  })
  return CHOICES[response] ?? 'cancel'
}

/** Saves every guest that would end, telling the window how far; throws the first failure after trying all. */
export async function saveAll(services: Services, window: BrowserWindow): Promise<void> {
  const session = services.attach(() => {})
  try {
    const domains = await call(session.call, 'domains.list', {})
    const live = domains.filter(
      ({ state, capabilities }) => (state === 'running' || state === 'paused') && !capabilities.outlivesMain,
    )
    const failures: unknown[] = []
    for (const [index, { id, name }] of live.entries()) {
      window.setTitle(`Vivarium: saving ${name} (${index + 1} of ${live.length})`)
      window.setProgressBar((index + 0.5) / live.length)
      await save(session.call, id).catch((error: unknown) => {
        failures.push(error)
      })
    }
    if (failures.length > 0) throw asVmmError(failures[0], 'save every guest')
  } finally {
    session.close()
    window.setProgressBar(-1)
  }
}

type Answer = (name: string, args: unknown) => Promise<Envelope>

async function save(answer: Answer, id: string): Promise<void> {
  let task = await call(answer, 'domains.save', { id })
  while (task.state === 'running') task = await call(answer, 'tasks.wait', { id: task.id, waitMs: 10_000 })
  if (task.failure) throw VmmError.fromFailure(task.failure)
}

async function call<N extends CallName>(answer: Answer, name: N, args: CallArgs<N>): Promise<CallResult<N>> {
  const envelope = await answer(name, args)
  if (!envelope.ok) throw VmmError.fromFailure(envelope.failure)
  return envelope.value as CallResult<N>
}
