import { computed, reactive, shallowRef, watch } from 'vue'
import type { ExplanationView, FailureView, SandboxPolicy } from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'

interface Question {
  direction: 'out' | 'in'
  protocol: 'tcp' | 'udp' | 'icmp'
  target: string
  /** Of whoever is called; of no matter for ICMP. */
  port: number
}

/** What would happen to a connection by a policy, which need not be stored; asked again when the policy changes. */
export function useExplain(id: string, policy: () => SandboxPolicy | null) {
  const app = useApp()
  const question = reactive<Question>({ direction: 'out', protocol: 'tcp', target: '', port: 443 })
  const answer = shallowRef<ExplanationView | null>(null)
  const failure = shallowRef<FailureView | null>(null)
  let asked = 0

  const hasPort = computed(() => question.protocol !== 'icmp')

  async function ask(): Promise<void> {
    const number = ++asked
    const given = policy()
    const target = question.target.trim()
    if (!target || !given) return
    const port = hasPort.value ? question.port : 0
    try {
      const told = await app.call('policy.explain', { id, policy: given, ...question, target, port })
      if (number !== asked) return
      answer.value = told
      failure.value = null
    } catch (thrown) {
      if (number !== asked) return
      answer.value = null
      failure.value = failureOf(thrown)
    }
  }

  /** What was answered is about another question now. */
  function forget(): void {
    asked += 1
    answer.value = null
    failure.value = null
  }
  watch(() => ({ ...question }), forget)
  watch(policy, () => {
    if (answer.value || failure.value) void ask()
  })

  return { question, hasPort, answer, failure, ask, forget }
}
