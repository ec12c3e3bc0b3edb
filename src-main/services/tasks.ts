import { randomUUID } from 'node:crypto'
import type { TaskView } from '../contract'
import { toFailure, VmmError } from '../../vmm/model/errors'
import { WakeUp } from '../../vmm/model/wake-up'
import type { Storage, TaskRecord } from '../../storage'
import type { Broadcast } from './broadcast'

/** Least time between two progress events of one task, milliseconds. */
const PUBLISH_EVERY_MS = 150
/** Ended tasks that a client still sees in the list. */
const SHOWN_ENDED = 50

/** What the work of a task is given. */
export interface TaskContext {
  readonly signal: AbortSignal
  /** Names the present step, and may say how far it is. */
  progress(step: string, done?: number, total?: number, unit?: TaskView['unit']): void
}

export interface TaskPlan {
  /** A stable word for what it does, such as `domain.start`. */
  kind: string
  /** Chosen by those who must know it before the task has begun. */
  id?: string
  title: string
  domainId?: string
  cancellable?: boolean
  /** Returns the id of what came of it, or nothing. */
  work(context: TaskContext): Promise<string | undefined>
}

interface LiveTask {
  view: TaskView
  abort: AbortController
  /** Never rejects. */
  ended: Promise<void>
  end: WakeUp
  stepStartedAt: number
  publishedAt: number
}

/** Long work with progress, cancel and an outcome, seen by every client. */
export class TaskService {
  readonly #live = new Map<string, LiveTask>()
  #past: TaskView[] = []

  constructor(
    private readonly storage: Storage,
    private readonly broadcast: Broadcast,
  ) {}

  /** Tasks that a crash cut off are told as failed. */
  async recover(): Promise<void> {
    for (const record of await this.storage.tasks.list()) {
      const cut: TaskRecord =
        record.state === 'running' ? { ...record, state: 'failed', endedAt: Date.now(), failure: INTERRUPTED } : record
      if (cut !== record) await this.storage.tasks.put(cut)
      this.#past.push(pastView(cut))
    }
    this.#past = this.#past.slice(-SHOWN_ENDED)
  }

  get running(): number {
    return this.#live.size
  }

  list(): TaskView[] {
    return [...this.#past, ...[...this.#live.values()].map((task) => task.view)]
  }

  get(id: string): TaskView {
    const view = this.#live.get(id)?.view ?? this.#past.find((past) => past.id === id)
    if (view) return view
    throw new VmmError('not-found', 'There is no such task any more.')
  }

  /** Begins work; its outcome is in the view that `wait` gives. */
  async start(plan: TaskPlan): Promise<TaskView> {
    const view = newView(plan)
    const task: LiveTask = {
      view,
      abort: new AbortController(),
      ended: Promise.resolve(),
      end: new WakeUp(),
      stepStartedAt: view.startedAt,
      publishedAt: 0,
    }
    // known, and to be aborted, from here on
    this.#live.set(view.id, task)
    const stored = this.storage.tasks.put(recordOf(view))
    task.ended = stored.then(
      () => this.#perform(task, plan),
      () => void this.#live.delete(view.id),
    )
    await stored
    this.#publish(task)
    return task.view
  }

  /** The task once it has ended, or as it is when `waitMs` is over. */
  async wait(id: string, waitMs: number, signal?: AbortSignal): Promise<TaskView> {
    const task = this.#live.get(id)
    if (task && waitMs > 0) await task.end.wait(waitMs, signal)
    return this.get(id)
  }

  cancel(id: string): TaskView {
    const task = this.#live.get(id)
    if (!task) return this.get(id)
    if (!task.view.cancellable)
      throw new VmmError('unsupported', 'This task cannot be cancelled.', { hint: 'Wait until it has ended.' })
    task.abort.abort()
    return task.view
  }

  /** Ends a task that its domain no longer has a use for. */
  async abort(id: string): Promise<void> {
    const task = this.#live.get(id)
    task?.abort.abort()
    await task?.ended
  }

  async abortAll(): Promise<void> {
    await Promise.all([...this.#live.keys()].map((id) => this.abort(id)))
  }

  async #perform(task: LiveTask, plan: TaskPlan): Promise<void> {
    const end: Partial<TaskView> = await plan
      .work({ signal: task.abort.signal, progress: (...report) => this.#progress(task, ...report) })
      .then(
        (resultId): Partial<TaskView> => ({ state: 'done', resultId: resultId ?? '' }),
        (error: unknown): Partial<TaskView> =>
          task.abort.signal.aborted
            ? { state: 'cancelled' }
            : { state: 'failed', failure: toFailure(error, `finish '${plan.title}'`) },
      )
    task.view = { ...task.view, ...end, endedAt: Date.now(), cancellable: false, leftMs: null }
    this.#live.delete(task.view.id)
    this.#past = [...this.#past, task.view].slice(-SHOWN_ENDED)
    this.#publish(task)
    task.end.wake()
    await this.storage.tasks.put(recordOf(task.view)).catch(() => undefined) // the outcome has been told; the disk may be full
  }

  #progress(task: LiveTask, step: string, done = 0, total = 0, unit: TaskView['unit'] = ''): void {
    const now = Date.now()
    const newStep = step !== task.view.step
    if (newStep) task.stepStartedAt = now
    const spent = now - task.stepStartedAt
    const leftMs = total > 0 && done > 0 && spent > 500 ? Math.round((spent * (total - done)) / done) : null
    task.view = { ...task.view, step, done, total, unit, leftMs }
    if (newStep || now - task.publishedAt >= PUBLISH_EVERY_MS) this.#publish(task)
  }

  #publish(task: LiveTask): void {
    task.publishedAt = Date.now()
    this.broadcast.publish({ topic: 'tasks', payload: { changed: [task.view] } })
  }
}

const INTERRUPTED = {
  kind: 'cancelled' as const,
  message: 'Vivarium ended before this was finished.',
  hint: 'Do it again.',
  detail: '',
}

function newView(plan: TaskPlan): TaskView {
  return {
    id: plan.id ?? randomUUID(),
    kind: plan.kind,
    title: plan.title,
    domainId: plan.domainId ?? null,
    state: 'running',
    step: '',
    done: 0,
    total: 0,
    unit: '',
    leftMs: null,
    cancellable: plan.cancellable ?? false,
    startedAt: Date.now(),
    endedAt: null,
    failure: null,
    resultId: '',
  }
}

function recordOf(view: TaskView): TaskRecord {
  const { id, kind, title, domainId, state, startedAt, endedAt, failure, resultId } = view
  return { id, kind, title, domainId, state, startedAt, endedAt, failure, resultId }
}

function pastView(record: TaskRecord): TaskView {
  return { ...record, step: '', done: 0, total: 0, unit: '', leftMs: null, cancellable: false }
}
