import { computed, onScopeDispose, ref, shallowRef } from 'vue'
import { VmmError, type CallArgs, type FailureView, type TaskView } from '../../src-main/contract'
import { pathOf } from '../bridge'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useTasks } from '../stores/tasks'
import { upload, type UploadProgress } from './upload'

type Source = CallArgs<'images.import'>['sources'][number]

export const MOST_FILES = 2

/** Takes chosen files in as an image: by path where this host has them, else by sending their content. */
export function useImport(dropped: File[]) {
  const app = useApp()
  const tasks = useTasks()
  const files = shallowRef<File[]>(dropped.slice(0, MOST_FILES))
  const name = ref('')
  const cmdline = ref('')
  const failure = shallowRef<FailureView | null>(null)
  const sending = shallowRef<(UploadProgress & { name: string }) | null>(null)
  const task = shallowRef<TaskView | null>(null)
  const progress = computed(() => tasks.get(task.value?.id ?? null))
  const busy = computed(() => sending.value !== null || task.value !== null)
  let stopper = new AbortController()
  onScopeDispose(() => stopper.abort())

  function add(more: File[]): void {
    const fresh = more.filter(
      (file) => !files.value.some((known) => known.name === file.name && known.size === file.size),
    )
    files.value = [...files.value, ...fresh].slice(-MOST_FILES)
  }

  function remove(file: File): void {
    files.value = files.value.filter((known) => known !== file)
  }

  /** The id of the new image, or null when it failed or was stopped. */
  async function begin(): Promise<string | null> {
    failure.value = null
    stopper = new AbortController()
    try {
      const sources: Source[] = []
      for (const file of files.value) sources.push(await sourceOf(file))
      sending.value = null
      const args: CallArgs<'images.import'> = { sources }
      if (name.value) args.name = name.value
      if (cmdline.value) args.cmdline = cmdline.value
      task.value = await app.call('images.import', args)
      const ended = await tasks.settled(task.value)
      if (ended.state === 'done') return ended.resultId
      if (ended.failure) throw VmmError.fromFailure(ended.failure)
    } catch (thrown) {
      const failed = failureOf(thrown)
      if (failed.kind !== 'cancelled') failure.value = failed
    } finally {
      sending.value = null
      task.value = null
    }
    return null
  }

  async function sourceOf(file: File): Promise<Source> {
    const path = pathOf(file)
    if (path) return { path }
    sending.value = { name: file.name, done: 0, total: file.size }
    const show = (now: UploadProgress) => (sending.value = { name: file.name, ...now })
    return { uploadId: await upload(file, app.call, show, stopper.signal) }
  }

  function cancel(): void {
    stopper.abort()
    if (task.value) void tasks.cancel(task.value.id)
  }

  return { files, name, cmdline, failure, sending, progress, busy, add, remove, begin, cancel }
}
