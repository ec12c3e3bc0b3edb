import { defineStore } from 'pinia'
import { computed, shallowRef } from 'vue'
import type { FailureView, TaskView } from '../../src-main/contract'
import { useApp } from './app'
import { useNotices, type NoticeAction } from './notices'

const KEPT_TASKS = 60

export interface FollowOptions {
  /** Called when the task is done. */
  done?: (task: TaskView) => void
  /** Begins the same work again. */
  retry?: () => void
  /** Further ways out of a failure. */
  rescue?: (failure: FailureView) => NoticeAction[]
}

/** Long work, running and recently ended. */
export const useTasks = defineStore('tasks', () => {
  const app = useApp()
  const notices = useNotices()
  const byId = shallowRef<ReadonlyMap<string, TaskView>>(new Map())
  const waiting = new Map<string, ((task: TaskView) => void)[]>()

  const list = computed(() => [...byId.value.values()].sort((a, b) => b.startedAt - a.startedAt))
  const running = computed(() => list.value.filter((task) => task.state === 'running'))
  const ended = computed(() => list.value.filter((task) => task.state !== 'running'))

  app.onConnected(async () => take(await app.call('tasks.list', {})))
  app.on('tasks', ({ changed }) => take(changed))

  function take(changed: TaskView[]): void {
    const all = new Map(byId.value)
    for (const task of changed) {
      const known = all.get(task.id)
      // an answer may come after the event that overtook it
      if (known && known.state !== 'running' && task.state === 'running') continue
      all.set(task.id, task)
    }
    byId.value = new Map([...all].sort(([, a], [, b]) => b.startedAt - a.startedAt).slice(0, KEPT_TASKS))
    for (const task of changed) if (task.state !== 'running') settle(task)
  }

  function settle(task: TaskView): void {
    const resolvers = waiting.get(task.id)
    if (!resolvers) return
    waiting.delete(task.id)
    for (const resolve of resolvers) resolve(task)
  }

  /** The task when it has ended, however it ended. */
  function settled(task: TaskView): Promise<TaskView> {
    take([task])
    const now = byId.value.get(task.id) ?? task
    if (now.state !== 'running') return Promise.resolve(now)
    return new Promise((resolve) => waiting.set(task.id, [...(waiting.get(task.id) ?? []), resolve]))
  }

  /** Shows how a task that the person began here ended. */
  async function follow(task: TaskView, options: FollowOptions = {}): Promise<TaskView> {
    const ended = await settled(task)
    if (ended.state === 'done') {
      notices.say(`${ended.title}: done`)
      options.done?.(ended)
    }
    if (ended.state === 'cancelled') notices.tell(`${ended.title}: cancelled`, [], 'info')
    if (ended.state === 'failed' && ended.failure) {
      const retry = options.retry
      const actions = retry ? [{ label: 'Try again', run: retry }] : []
      notices.fail(ended.title, ended.failure, [...(options.rescue?.(ended.failure) ?? []), ...actions])
    }
    return ended
  }

  function cancel(id: string): Promise<TaskView | undefined> {
    return notices.attempt('Cancelling', () => app.call('tasks.cancel', { id }))
  }

  function get(id: string | null): TaskView | undefined {
    return id === null ? undefined : byId.value.get(id)
  }

  return { byId, list, running, ended, get, settled, follow, cancel }
})
