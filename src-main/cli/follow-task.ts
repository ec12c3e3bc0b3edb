import { VmmError } from '../../vmm/model/errors'
import { safeText, type TaskView } from '../contract'
import type { CliSession } from './session'
import { durationText, sizeText } from './text'

/** How often the progress line is renewed, milliseconds. */
const PROGRESS_MS = 250
const WAIT_MS = 20_000

/** Waits for the end of a task, with progress on stderr where a person sees it; throws when it does not succeed. */
export async function followTask(cli: CliSession, begun: TaskView, stopped?: AbortSignal): Promise<TaskView> {
  const shown = process.stderr.isTTY && !cli.json
  let task = begun
  try {
    while (task.state === 'running') {
      if (shown) progressLine(task)
      if (stopped?.aborted) await cancel(cli, task)
      task = await cli.call('tasks.wait', { id: task.id, waitMs: shown || stopped ? PROGRESS_MS : WAIT_MS })
    }
  } finally {
    if (shown) process.stderr.write('\r\x1b[K')
  }
  if (task.failure) throw VmmError.fromFailure(task.failure)
  if (task.state === 'cancelled') throw new VmmError('cancelled', `'${task.title}' was cancelled.`)
  return task
}

async function cancel(cli: CliSession, task: TaskView): Promise<void> {
  if (task.cancellable) await cli.call('tasks.cancel', { id: task.id })
  throw new VmmError('cancelled', `'${task.title}' was interrupted.`)
}

function progressLine(task: TaskView): void {
  const width = (process.stderr.columns || 80) - 1
  process.stderr.write(`\r${progressText(task).slice(0, width)}\x1b[K`)
}

/** Such as `Preparing the starter image: Downloading packages 42 % (12.0 MB of 28.6 MB), 5 s left`. */
export function progressText(task: TaskView): string {
  const { title, step, done, total, unit, leftMs } = task
  const share = total > 0 ? ` ${Math.floor((100 * done) / total)} %` : ''
  const amount = unit === 'bytes' && total > 0 ? ` (${sizeText(done)} of ${sizeText(total)})` : ''
  const left = leftMs === null ? '' : `, ${durationText(leftMs)} left`
  return safeText(`${title}${step ? `: ${step}` : ''}${share}${amount}${left}`)
}
