import { computed } from 'vue'
import type { DomainView, OnceView } from '../../src-main/contract'
import { fileRuleSummary, registryRuleSummary } from '../file-words'
import { useApp } from '../stores/app'
import { useFileEvents } from '../stores/files'
import { useNotices } from '../stores/notices'
import { useReading } from './useReading'

/** What was allowed once of files and the registry, until the machine ends. */
export function useOnce(domain: () => DomainView) {
  const app = useApp()
  const events = useFileEvents()
  const notices = useNotices()
  const id = (): string => domain().id
  const reading = useReading<OnceView>(
    () => app.call('files.once', { id: id() }),
    () => `${id()} ${domain().state} ${events.of(id()).files.value} ${events.of(id()).registry.value}`,
  )
  /** Each in a few words. */
  const words = computed(() => {
    const { files, registry } = reading.value.value ?? { files: [], registry: [] }
    return [...files.map(fileRuleSummary), ...registry.map(registryRuleSummary)]
  })

  async function allow({ seq, path }: { seq: number; path: string }): Promise<void> {
    const view = await notices.attempt('Allowing it once', () => app.call('files.allowOnce', { id: id(), seq }))
    if (!view) return
    reading.put(view)
    notices.tell(`${path} is allowed until ${domain().name} is off.`)
  }

  async function forget(): Promise<void> {
    const view = await notices.attempt('Forgetting it', () => app.call('files.forgetOnce', { id: id() }))
    if (!view) return
    reading.put(view)
    notices.say('What was allowed once is forgotten')
  }

  return { words, allow, forget }
}
