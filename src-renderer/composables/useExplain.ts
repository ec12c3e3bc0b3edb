import { computed, reactive } from 'vue'
import type { SandboxPolicy } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { useAsking } from './useAsking'

interface Question {
  direction: 'out' | 'in'
  protocol: 'tcp' | 'udp' | 'icmp'
  target: string
  /** Of whoever is called; of no matter for ICMP. */
  port: number
}

/** What would happen to a connection by a policy. */
export function useExplain(id: string, policy: () => SandboxPolicy | null) {
  const app = useApp()
  const question = reactive<Question>({ direction: 'out', protocol: 'tcp', target: '', port: 443 })
  const hasPort = computed(() => question.protocol !== 'icmp')

  const asking = useAsking(question, policy, (given) => {
    const target = question.target.trim()
    const port = hasPort.value ? question.port : 0
    return target ? app.call('policy.explain', { id, policy: given, ...question, target, port }) : null
  })
  return { ...asking, hasPort }
}

/** What would happen to a path of a share, by a policy. */
export function useExplainFile(id: string, policy: () => SandboxPolicy | null) {
  const app = useApp()
  const question = reactive({ share: '', path: '' })
  return useAsking(question, policy, (given) => {
    const { share, path } = question
    if (!share || !path.trim()) return null
    return app.call('files.explain', { id, policy: given, share, path: path.startsWith('/') ? path : `/${path}` })
  })
}

/** What would happen to a key of the registry, by a policy. */
export function useExplainKey(id: string, policy: () => SandboxPolicy | null) {
  const app = useApp()
  const question = reactive({ key: '' })
  return useAsking(question, policy, (given) => {
    const key = question.key.trim()
    return key ? app.call('registry.explain', { id, policy: given, key }) : null
  })
}
