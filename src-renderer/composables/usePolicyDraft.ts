import { computed, onScopeDispose, ref, shallowRef, watch } from 'vue'
import {
  policyText,
  RULES_MOST,
  SandboxPolicySchema,
  type FailureView,
  type NicLimit,
  type PolicyCheckView,
  type PolicyView,
  type SandboxPolicy,
} from '../../src-main/contract'
import { failureOf } from '../failure'
import { useApp } from '../stores/app'
import { useNotices } from '../stores/notices'
import { faultOf } from './form-faults'
import {
  draftOf,
  EMPTY_DRAFT,
  inserted,
  keyed,
  limitOf,
  moved,
  newRuleOf,
  placeOf,
  policyOf,
  ruleFaults,
  SECTIONS,
  withLimit,
  type AnyRule,
  type Draft,
  type DraftRule,
  type Section,
} from './policy-draft'

const CHECK_AFTER_MS = 250
const STEPS_KEPT = 100
const NO_CHECK: PolicyCheckView = { policy: null, fault: null, warnings: [] }

interface Step {
  draft: Draft
  /** What was done to it, such as 'delete Web'. */
  what: string
  /** Steps in a row with the same are one; '' for one of its own. */
  field: string
  /** Where it was done. */
  section: Section
}

const SECTION_NOUNS: Record<Section, string> = {
  network: 'Network rule',
  files: 'File rule',
  registry: 'Registry rule',
}

/** The policy of a domain as it is edited, as rules or as text, with what is wrong with it. */
export function usePolicyDraft(id: string) {
  const app = useApp()
  const notices = useNotices()
  const stored = shallowRef<PolicyView | null>(null)
  const failure = shallowRef<FailureView | null>(null)
  const draft = shallowRef<Draft>(EMPTY_DRAFT)
  /** The section whose rules are edited now. */
  const section = ref<Section>('network')
  const chosenKeys = ref<Record<Section, number>>({ network: 0, files: 0, registry: 0 })
  const past = shallowRef<Step[]>([])
  const asText = ref(false)
  const text = ref('')
  const check = shallowRef<PolicyCheckView>(NO_CHECK)
  const checking = ref(false)
  const saving = ref(false)

  const rules = computed<readonly DraftRule[]>(() => draft.value[section.value])
  const limits = computed(() => draft.value.limits)
  const chosen = computed(() => rules.value.findIndex(({ key }) => key === chosenKeys.value[section.value]))
  const policy = computed(() => policyOf(draft.value))
  const storedText = computed(() => (stored.value ? policyText(stored.value.policy) : ''))
  const changed = computed(() => {
    if (!stored.value) return false
    return asText.value ? text.value !== storedText.value : policyText(policy.value) !== storedText.value
  })
  /** What is wrong, by the rule's key. */
  const faults = computed(
    () =>
      new Map(
        SECTIONS.flatMap((each) =>
          draft.value[each].map((one) => [one.key, ruleFaults(each, one, draft.value[each])] as const),
        ),
      ),
  )
  const formFault = computed(() => {
    for (const each of SECTIONS) {
      const at = draft.value[each].findIndex(({ key }) => Object.keys(faults.value.get(key) ?? {}).length > 0)
      const one = draft.value[each][at]
      const noun = each === section.value ? 'Rule' : SECTION_NOUNS[each]
      if (one) return `${noun} ${at + 1}: ${Object.values(faults.value.get(one.key) ?? {})[0]}`
    }
    return faultOf(SandboxPolicySchema, policy.value)
  })
  /** Why it cannot be saved, or ''. */
  const fault = computed(() => {
    if (!asText.value && formFault.value) return formFault.value
    return check.value.fault?.message ?? ''
  })
  const whole = computed<SandboxPolicy | null>(() => {
    if (!asText.value) return formFault.value ? null : policy.value
    return checking.value ? null : check.value.policy
  })
  const warningsOf = (rule: number): string[] =>
    check.value.warnings.filter(({ path }) => matches(path, rule)).map(({ message }) => message)
  const matches = (path: string, rule: number): boolean => {
    const place = placeOf(path)
    return place !== null && 'rule' in place && place.section === section.value && place.rule === rule
  }
  const otherWarnings = computed(() => check.value.warnings.filter(({ path }) => !placeOf(path)))

  /** Reads what is stored; what was edited is gone. */
  async function read(): Promise<void> {
    try {
      take(await app.call('policy.get', { id }))
      failure.value = null
    } catch (thrown) {
      failure.value = failureOf(thrown)
    }
  }

  function take(view: PolicyView): void {
    const place = chosen.value
    stored.value = view
    draft.value = draftOf(view.policy)
    text.value = policyText(view.policy)
    past.value = []
    choose(place < 0 ? 0 : place)
  }

  function choose(index: number): void {
    const rule = rules.value[Math.min(index, rules.value.length - 1)]
    if (rule) chosenKeys.value = { ...chosenKeys.value, [section.value]: rule.key }
  }

  /** Goes to the rules of a section, where the one that was chosen there is still chosen. */
  function turnTo(next: Section): void {
    section.value = next
    if (chosen.value < 0) choose(0)
  }

  /** Keeps what was, for `undo`. Several changes of one field in a row are one step. */
  function step(what: string, next: Partial<Draft>, field = ''): void {
    const again = field !== '' && past.value.at(-1)?.field === field
    if (!again)
      past.value = [...past.value, { draft: draft.value, what, field, section: section.value }].slice(-STEPS_KEPT)
    draft.value = { ...draft.value, ...next }
  }

  function undo(): void {
    const last = past.value.at(-1)
    if (!last) return
    const place = chosen.value
    past.value = past.value.slice(0, -1)
    draft.value = last.draft
    section.value = last.section
    if (chosen.value < 0) choose(Math.max(0, place))
    notices.say(`Undone: ${last.what}`)
  }

  /** `rule` is one of the section that is edited. */
  function add(rule: AnyRule = newRuleOf(section.value, rules.value), at = rules.value.length, what = 'add'): void {
    if (rules.value.length >= RULES_MOST) return
    const one = keyed(rule)
    step(`${what} ${rule.name}`, { [section.value]: inserted(rules.value, at, one) })
    chosenKeys.value = { ...chosenKeys.value, [section.value]: one.key }
  }

  function duplicate(): void {
    const one = rules.value[chosen.value]
    if (one) add(newRuleOf(section.value, rules.value, one.rule), chosen.value + 1, 'duplicate')
  }

  function remove(): void {
    const place = chosen.value
    const one = rules.value[place]
    if (!one) return
    step(`delete ${one.rule.name}`, { [section.value]: rules.value.toSpliced(place, 1) })
    choose(place)
    notices.say(`${one.rule.name} deleted`)
  }

  function move(by: -1 | 1): void {
    const place = chosen.value
    const next = moved(rules.value, place, place + by)
    if (next === rules.value) return
    const name = rules.value[place]?.rule.name ?? ''
    step(`move ${name}`, { [section.value]: next })
    notices.say(`${name} is now rule ${place + by + 1} of ${next.length}`)
  }

  function change(patch: Partial<AnyRule>): void {
    const place = chosen.value
    const one = rules.value[place]
    if (!one) return
    const next = { ...one, rule: { ...one.rule, ...patch } as AnyRule }
    const field = `${one.key} ${Object.keys(patch).join()}`
    step(`change ${one.rule.name}`, { [section.value]: rules.value.with(place, next) }, field)
  }

  function limit(nic: number, patch: Partial<NicLimit>): void {
    const next = withLimit(limits.value, { ...limitOf(limits.value, nic), ...patch })
    step(`change the limits of card ${nic + 1}`, { limits: next }, `card ${nic} ${Object.keys(patch).join()}`)
  }

  /** Shows the policy as text or as rules; text that is refused stays text. */
  function showText(wanted: boolean): boolean {
    if (wanted === asText.value) return true
    if (wanted) text.value = policyText(policy.value)
    else if (!whole.value) return false
    else if (policyText(whole.value) !== policyText(policy.value)) {
      step('change as text', draftOf(whole.value))
      chosenKeys.value = { network: 0, files: 0, registry: 0 }
      choose(0)
    }
    asText.value = wanted
    return true
  }

  let timer: ReturnType<typeof setTimeout> | undefined
  let asked = 0
  async function checkNow(): Promise<void> {
    const number = ++asked
    const given = asText.value ? text.value : JSON.stringify(policy.value)
    // what cannot be checked now is checked when it is saved
    const answer = await app.call('policy.check', { id, text: given }).catch(() => NO_CHECK)
    if (number !== asked) return
    check.value = answer
    checking.value = false
  }
  watch([policy, text, asText], () => {
    checking.value = true
    clearTimeout(timer)
    timer = setTimeout(() => void checkNow(), CHECK_AFTER_MS)
  })
  onScopeDispose(() => clearTimeout(timer))

  /** Stores the policy, which applies at once; says whether it did. */
  async function save(): Promise<boolean> {
    if (asText.value) await checkNow()
    const wanted = whole.value
    if (!wanted) return false
    saving.value = true
    const view = await notices.attempt('Saving the policy', () => app.call('policy.set', { id, policy: wanted }))
    saving.value = false
    if (!view) return false
    take(view)
    notices.tell('The policy was saved and holds now.')
    return true
  }

  return {
    stored,
    failure,
    section,
    rules,
    limits,
    chosen,
    past,
    asText,
    text,
    check,
    changed,
    faults,
    fault,
    whole,
    saving,
    otherWarnings,
    warningsOf,
    read,
    turnTo,
    choose,
    undo,
    add,
    duplicate,
    remove,
    move,
    change,
    limit,
    showText,
    save,
    discard: () => stored.value && take(stored.value),
  }
}
