import { computed, onScopeDispose, ref, shallowRef } from 'vue'
import { VmmError, type CallArgs, type FailureView, type TaskView } from '../../src-main/contract'
import { pathOf } from '../bridge'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useTasks } from '../stores/tasks'
import { typedPath } from './registry-path'
import { upload, type UploadProgress } from './upload'

type Wish = CallArgs<'registry.import'>

/** Reads a .reg file, a hive or a Wine prefix into a domain: by its path on the host, or by sending a file's content. */
export function useRegistryImport(id: string, as: NonNullable<Wish['as']>) {
  const app = useApp()
  const tasks = useTasks()
  const path = ref('')
  /** Chosen in this window, where the host's path of it is not known. */
  const file = shallowRef<File | null>(null)
  const kind = ref(as)
  const key = ref('')
  const name = ref('')
  const failure = shallowRef<FailureView | null>(null)
  const sending = shallowRef<UploadProgress | null>(null)
  const task = shallowRef<TaskView | null>(null)
  const progress = computed(() => tasks.get(task.value?.id ?? null))
  const busy = computed(() => sending.value !== null || task.value !== null)
  let stopper = new AbortController()
  onScopeDispose(() => stopper.abort())

  function choose(chosen: File | undefined): void {
    if (!chosen) return
    const known = pathOf(chosen)
    file.value = known ? null : chosen
    path.value = known ?? ''
  }

  /** Whether it was read in. */
  async function begin(): Promise<boolean> {
    failure.value = null
    stopper = new AbortController()
    try {
      const wish: Wish = { id, source: await source(), as: kind.value, key: typedPath(key.value) }
      if (name.value) wish.name = name.value
      sending.value = null
      task.value = await app.call('registry.import', wish)
      const ended = await tasks.settled(task.value)
      if (ended.failure) throw VmmError.fromFailure(ended.failure)
      return ended.state === 'done'
    } catch (thrown) {
      const failed = failureOf(thrown)
      if (failed.kind !== 'cancelled') failure.value = failed
      return false
    } finally {
      sending.value = null
      task.value = null
    }
  }

  async function source(): Promise<Wish['source']> {
    if (!file.value) return { path: path.value.trim() }
    sending.value = { done: 0, total: file.value.size }
    return { uploadId: await upload(file.value, app.call, (now) => (sending.value = now), stopper.signal) }
  }

  function cancel(): void {
    stopper.abort()
    if (task.value) void tasks.cancel(task.value.id)
  }

  return { path, file, kind, key, name, failure, sending, progress, busy, choose, begin, cancel }
}
