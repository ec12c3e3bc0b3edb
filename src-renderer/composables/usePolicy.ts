import { computed, shallowRef } from 'vue'
import type { DenialView, DomainView, PolicyTemplateView, PolicyView } from '../../src-main/contract'
import { useApp } from '../stores/app'
import { useFileEvents } from '../stores/files'
import { useNetworkEvents } from '../stores/network'
import { useNotices } from '../stores/notices'
import { useReading } from './useReading'

/** The templates that a policy can be, asked for once by each view. */
export function useTemplates() {
  const app = useApp()
  const templates = shallowRef<PolicyTemplateView[]>([])
  const reading = useReading(
    async () => (templates.value = await app.call('policy.templates', {})),
    () => '',
  )
  return { templates, failure: reading.failure }
}

/** The policy of a domain as it holds now, and what can be changed of it with one click. */
export function usePolicy(domain: () => DomainView) {
  const app = useApp()
  const events = useNetworkEvents()
  const fileEvents = useFileEvents()
  const notices = useNotices()
  const { templates } = useTemplates()
  const id = (): string => domain().id

  const reading = useReading<PolicyView>(
    () => app.call('policy.get', { id: id() }),
    () => `${id()} ${domain().state} ${events.of(id()).changes.value} ${fileEvents.of(id()).files.value}`,
  )
  const template = computed(() => templates.value.find((known) => known.id === reading.value.value?.template))

  async function set(what: string, policy: PolicyView['policy'], owner: string): Promise<boolean> {
    const view = await notices.attempt(what, () => app.call('policy.set', { id: owner, policy }))
    if (view && owner === id()) reading.put(view)
    return view !== undefined
  }

  /** Puts the rules of a template in the place of those that hold; the notice can bring them back. Limits stay. */
  async function choose(chosen: PolicyTemplateView): Promise<void> {
    const owner = id()
    const before = reading.value.value?.policy
    if (!before) return
    const next = { ...before, network: chosen.policy.network }
    if (!(await set(`Applying ${chosen.name}`, next, owner))) return
    const undo = () => void set('Bringing the policy back', before, owner)
    notices.tell(`${domain().name} now has the policy ${chosen.name}.`, [{ label: 'Undo', run: undo }])
  }

  async function allowOnce({ seq, peer, peerName }: DenialView): Promise<void> {
    const view = await notices.attempt('Allowing it once', () => app.call('network.allowOnce', { id: id(), seq }))
    if (!view) return
    reading.put(view)
    notices.tell(`${peerName || peer} is allowed until ${domain().name} is off.`)
  }

  async function forgetOnce(): Promise<void> {
    const view = await notices.attempt('Forgetting it', () => app.call('network.forgetOnce', { id: id() }))
    if (!view) return
    reading.put(view)
    notices.say('What was allowed once is forgotten')
  }

  /** Puts another policy in place; says whether main took it. */
  const store = (what: string, policy: PolicyView['policy']): Promise<boolean> => set(what, policy, id())

  return {
    view: reading.value,
    failure: reading.failure,
    refresh: reading.refresh,
    templates,
    template,
    store,
    choose,
    allowOnce,
    forgetOnce,
  }
}
