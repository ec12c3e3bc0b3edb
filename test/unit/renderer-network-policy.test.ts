// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, nextTick, ref, type EffectScope } from 'vue'
import { policyText, VmmError, type NetworkRule, type PolicyView, type SandboxPolicy } from '../../src-main/contract'
import { keyed, limitOf, newRule, EMPTY_DRAFT, policyOf } from '../../src-renderer/composables/policy-draft'
import { useExplain } from '../../src-renderer/composables/useExplain'
import { usePolicy } from '../../src-renderer/composables/usePolicy'
import { usePolicyDraft } from '../../src-renderer/composables/usePolicyDraft'
import { useApp } from '../../src-renderer/stores/app'
import { useNotices } from '../../src-renderer/stores/notices'
import { scriptedConnection } from '../support/scripted-connection'
import { domainView } from '../support/views'

const rule = (name: string, fields: Partial<NetworkRule> = {}): NetworkRule => ({ ...newRule([], fields), name })
const policy = (...rules: NetworkRule[]): SandboxPolicy => policyOf({ ...EMPTY_DRAFT, network: rules.map(keyed) })
const WEB = rule('Web', { protocol: 'tcp', peers: ['public'], ports: ['80', '443'], downBits: 2e7 })
describe('the policy of a domain', () => {
  let scope: EffectScope
  let stored: SandboxPolicy
  let answers: Record<string, (args: never) => unknown>
  const sent: SandboxPolicy[] = []
  const view = (): PolicyView => ({
    policy: stored,
    text: policyText(stored),
    template: stored.network.rules.length === 0 ? 'offline' : '',
    warnings: [],
    once: [],
  })
  const settle = () => vi.advanceTimersByTimeAsync(400)

  beforeEach(async () => {
    vi.useFakeTimers()
    setActivePinia(createPinia())
    scope = effectScope()
    sent.length = 0
    stored = policy(WEB, rule('Ping', { protocol: 'icmp' }))
    answers = {
      'events.subscribe': () => ({}),
      'app.info': () => ({ engines: [] }),
      'policy.get': view,
      'policy.templates': () => [{ id: 'offline', name: 'Offline', description: '', policy: policy() }],
      'policy.set': ({ policy: next }: { policy: SandboxPolicy }) => {
        sent.push(next)
        stored = next
        return view()
      },
      'policy.check': ({ text }: { text: string }) => {
        try {
          const given = JSON.parse(text) as SandboxPolicy
          return { policy: given, fault: null, warnings: [{ path: 'network.rules.1', message: 'It has no effect.' }] }
        } catch {
          return { policy: null, fault: { path: '', message: 'no JSON', line: 2, column: 3 }, warnings: [] }
        }
      },
    }
    useApp().connect(scriptedConnection(answers))
    await settle()
  })
  afterEach(() => {
    scope.stop()
    vi.useRealTimers()
  })

  async function opened() {
    const draft = scope.run(() => usePolicyDraft('d'))!
    await draft.read()
    await settle()
    return draft
  }
  const names = (draft: Awaited<ReturnType<typeof opened>>) => draft.rules.value.map((one) => one.rule.name).join()

  it('a draft is changed only by changes, which can be undone one by one', async () => {
    const draft = await opened()
    expect([draft.changed.value, draft.chosen.value]).toEqual([false, 0])
    draft.add()
    expect([names(draft), draft.chosen.value]).toEqual(['Web,Ping,New rule', 2])
    draft.choose(0)
    draft.duplicate()
    expect([names(draft), draft.chosen.value]).toEqual(['Web,Web 2,Ping,New rule', 1])
    draft.move(1)
    draft.move(1)
    draft.move(1)
    expect([names(draft), draft.chosen.value]).toEqual(['Web,Ping,New rule,Web 2', 3])
    draft.remove()
    expect([names(draft), draft.chosen.value]).toEqual(['Web,Ping,New rule', 2])
    expect(draft.changed.value).toBe(true)
    for (let step = 0; step < 5; step++) draft.undo()
    expect([names(draft), draft.changed.value, draft.past.value]).toEqual(['Web,Ping', false, []])
  })

  it('what is typed into one field is one step', async () => {
    const draft = await opened()
    for (const name of ['W', 'Wi', 'Wik', 'Wiki']) draft.change({ name })
    draft.change({ action: 'deny' })
    draft.undo()
    expect(draft.rules.value[0]?.rule).toMatchObject({ name: 'Wiki', action: 'allow' })
    draft.undo()
    expect(names(draft)).toBe('Web,Ping')
  })

  it('what is wrong cannot be saved, and what was warned of stands at its rule', async () => {
    const draft = await opened()
    expect([draft.warningsOf(0), draft.warningsOf(1)]).toEqual([[], ['It has no effect.']])
    draft.change({ peers: ['nobody!'] })
    await settle()
    expect(draft.fault.value).toMatch(/^Rule 1: /)
    expect([draft.whole.value, await draft.save(), sent]).toEqual([null, false, []])
    draft.change({ peers: [] })
    expect(draft.fault.value).toMatch(/at least one peer/)
  })

  it('goes to text and back without loss, and stays text while that is refused', async () => {
    const draft = await opened()
    draft.change({ name: 'Pages' })
    expect(draft.showText(true)).toBe(true)
    expect(draft.text.value).toBe(policyText(policy(rule('Pages', WEB), stored.network.rules[1]!)))
    await settle()
    draft.text.value = draft.text.value.replace('"tcp",', '"tcp"')
    await settle()
    expect([draft.check.value.fault?.line, draft.showText(false), draft.asText.value]).toEqual([2, false, true])
    const other = policy(rule('Other'))
    draft.text.value = JSON.stringify(other)
    await settle()
    expect([draft.showText(false), names(draft), draft.changed.value]).toEqual([true, 'Other', true])
    draft.undo()
    expect(names(draft)).toBe('Pages,Ping')
  })

  it('is saved as it is on the screen, in either form', async () => {
    const draft = await opened()
    draft.limit(0, { upBits: 1e6 })
    expect(await draft.save()).toBe(true)
    expect(sent[0]?.limits.network).toEqual([{ ...limitOf([], 0), upBits: 1e6 }])
    expect([draft.changed.value, draft.past.value]).toEqual([false, []])
    draft.showText(true)
    draft.text.value = JSON.stringify(policy(rule('Typed')))
    // at once: what was typed is checked first
    expect(await draft.save()).toBe(true)
    expect(sent[1]?.network.rules.map(({ name }) => name)).toEqual(['Typed'])
  })

  it('stays as it is when main refuses it', async () => {
    const draft = await opened()
    answers['policy.set'] = () => {
      throw new VmmError('invalid', 'This domain has no second card.')
    }
    draft.change({ name: 'Kept' })
    expect(await draft.save()).toBe(false)
    expect([draft.changed.value, names(draft)]).toEqual([true, 'Kept,Ping'])
    expect(useNotices().list.at(-1)?.failure?.message).toMatch(/second card/)
  })

  it('what would happen is asked of the draft, again when it changes, and forgotten with the question', async () => {
    const asked: { policy: SandboxPolicy; port: number }[] = []
    answers['policy.explain'] = (args: (typeof asked)[number]) => {
      asked.push(args)
      return { action: 'deny', rule: 'x', index: asked.length, logged: [], sentence: '' }
    }
    const given = ref<SandboxPolicy | null>(policy(WEB))
    const explain = scope.run(() => useExplain('d', () => given.value))!
    Object.assign(explain.question, { target: 'example.org', port: 443 })
    await nextTick()
    await explain.ask()
    expect(explain.answer.value?.index).toBe(1)
    given.value = policy()
    await settle()
    expect([asked.length, asked[1]?.policy.network.rules, explain.answer.value?.index]).toEqual([2, [], 2])
    explain.question.protocol = 'icmp'
    await nextTick()
    expect(explain.answer.value).toBeNull()
    await explain.ask()
    expect(asked[2]?.port).toBe(0)
    given.value = null
    await explain.ask()
    expect(asked).toHaveLength(3)
  })

  it('a template takes the place of the rules, not of the limits, and the notice brings them back', async () => {
    stored = { ...stored, limits: { network: [{ ...limitOf([], 0), upBits: 5 }], io: [] } }
    const before = stored
    const held = scope.run(() => usePolicy(() => domainView({ id: 'd' })))!
    await settle()
    await held.choose(held.templates.value[0]!)
    expect(sent[0]).toEqual({ ...policy(), limits: before.limits })
    expect(held.view.value?.template).toBe('offline')
    useNotices().list.at(-1)?.actions[0]?.run()
    await settle()
    expect(sent[1]).toEqual(before)
  })
})
