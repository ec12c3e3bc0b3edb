import { defineStore } from 'pinia'
import { computed, ref, shallowRef } from 'vue'
import { usualEngine, VmmError, type DomainView, type FailureView, type TaskView } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from './app'
import { useDomains } from './domains'
import { useNotices } from './notices'
import { useSettings } from './settings'
import { useTasks } from './tasks'

export type TrialPhase = 'idle' | 'preparing' | 'creating' | 'failed'

/** The first free name of 'try-1', 'try-2', … */
export function freeName(stem: string, taken: ReadonlySet<string>): string {
  let number = 1
  while (taken.has(`${stem}-${number}`)) number += 1
  return `${stem}-${number}`
}

/** 'Try a guest now': from nothing to a domain that boots the starter image. Goes on while other views are looked at. */
export const useTrial = defineStore('trial', () => {
  const app = useApp()
  const domains = useDomains()
  const notices = useNotices()
  const settings = useSettings()
  const tasks = useTasks()
  const phase = ref<TrialPhase>('idle')
  const taskId = ref<string | null>(null)
  const failure = shallowRef<FailureView | null>(null)
  const task = computed<TaskView | undefined>(() => tasks.get(taskId.value))

  /** Resolves to the id of the started domain, or null when it failed or was cancelled. */
  async function begin(): Promise<string | null> {
    if (phase.value === 'preparing' || phase.value === 'creating') return null
    failure.value = null
    try {
      phase.value = 'preparing'
      const imageId = await starterImage()
      phase.value = 'creating'
      const name = freeName('try', domains.names)
      const engine = usualEngine('starter', app.info?.engines ?? [])?.id ?? 'embedded'
      const domain = await app.call('domains.create', { spec: { name, engine, imageId } })
      domains.put(domain)
      await settings.update({ welcomed: true })
      phase.value = 'idle'
      // the domain is there now: what goes wrong from here on is told beside it
      void start(domain)
      return domain.id
    } catch (thrown) {
      failure.value = failureOf(thrown)
      phase.value = failure.value.kind === 'cancelled' ? 'idle' : 'failed'
      return null
    } finally {
      taskId.value = null
    }
  }

  async function start({ id, name }: Pick<DomainView, 'id' | 'name'>): Promise<void> {
    const task = await notices.attempt(`Starting ${name}`, () => app.call('domains.start', { id }))
    if (task) await tasks.follow(task, { retry: () => void start({ id, name }) })
  }

  async function starterImage(): Promise<string> {
    const preparing = await app.call('images.prepareStarter', {})
    taskId.value = preparing.id
    const ended = await tasks.settled(preparing)
    if (ended.state === 'done') return ended.resultId
    if (ended.failure) throw VmmError.fromFailure(ended.failure)
    throw new VmmError('cancelled', 'Preparing the starter image was cancelled.')
  }

  return { phase, task, failure, begin, cancel: () => (taskId.value ? tasks.cancel(taskId.value) : undefined) }
})
