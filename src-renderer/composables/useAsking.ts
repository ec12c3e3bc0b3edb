import { shallowRef, watch } from 'vue'
import type { FailureView, SandboxPolicy } from '../../src-main/contract'
import { failureOf } from '../failure'

/**
 * A question about a policy, which need not be stored, and its answer. What was answered is forgotten when the question
 * changes, and asked again when the policy does. `call` answers null when there is nothing to ask yet.
 */
export function useAsking<Question extends object, Answer>(
  question: Question,
  policy: () => SandboxPolicy | null,
  call: (policy: SandboxPolicy) => Promise<Answer> | null,
) {
  const answer = shallowRef<Answer | null>(null)
  const failure = shallowRef<FailureView | null>(null)
  let asked = 0

  async function ask(): Promise<void> {
    const number = ++asked
    const given = policy()
    const asking = given && call(given)
    if (!asking) return
    try {
      const told = await asking
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
  // at once, so that a question that is asked in the same moment is not forgotten
  watch(() => ({ ...question }), forget, { flush: 'sync' })
  watch(policy, () => {
    if (answer.value || failure.value) void ask()
  })

  return { question, answer, failure, ask, forget }
}
