import { useRouter } from 'vue-router'
import {
  VERB_LABELS,
  verbVerdict,
  type DomainView,
  type FailureView,
  type TaskView,
  type Verb,
  type VerbVerdict,
} from '../../src-main/contract'
import { isLive } from '../state-words'
import { useApp } from '../stores/app'
import { useDialogs } from '../stores/dialogs'
import { useDomains } from '../stores/domains'
import { useNotices, type NoticeAction } from '../stores/notices'
import { useSidebar } from '../stores/sidebar'
import { useTasks, type FollowOptions } from '../stores/tasks'
import { arrangeDomains, neighbour } from './arrange-domains'

const refused = (reason: string): VerbVerdict => ({ allowed: false, reason })

/** Whether a verb is possible now: by the one table of states, then by what the domain's engine can do. */
export function judge(verb: Verb, domain: DomainView): VerbVerdict {
  const verdict = verbVerdict(verb, domain.state)
  if (!verdict.allowed) return verdict
  const { capabilities, agent } = domain
  if (verb === 'start' && domain.template) {
    return refused('This is a template: it is never started. Clone it, and start the clone.')
  }
  if (verb === 'shutdown' && agent === 'none' && !capabilities.powerButton) {
    return refused('This guest has no agent that could shut it down. Do it from its console, or use Force Off.')
  }
  if (verb === 'pause' && !capabilities.pause) return refused('This engine cannot pause a guest.')
  if (verb === 'save' && !capabilities.save) return refused('This engine cannot save a guest to disk.')
  const whileLive = capabilities.liveSnapshot || capabilities.diskSnapshot
  if (verb === 'snapshot' && isLive(domain.state) && !whileLive) {
    return refused('This engine takes snapshots only of a domain that is off. Shut it down first.')
  }
  if (verb === 'exec' && agent === 'none') return refused('This image has no guest agent to run a command.')
  return verdict
}

/** The disk that a failure calls damaged and that can be mended, or null: failures name it among their facts. */
export function damagedDisk({ kind, detail }: FailureView): string | null {
  if (kind !== 'damaged' || /^repairable: false$/m.test(detail)) return null
  return /^disk: (disk\d{0,2})$/m.exec(detail)?.[1] ?? null
}

export interface VerbChoice extends VerbVerdict {
  verb: Verb
  label: string
  run(): void
}

/** What can be done to a domain, and how each verb is done from this window. */
export function useVerbs() {
  const app = useApp()
  const dialogs = useDialogs()
  const domains = useDomains()
  const notices = useNotices()
  const router = useRouter()
  const sidebar = useSidebar()
  const tasks = useTasks()

  type Way = (domain: DomainView) => unknown

  const WAYS: Record<Verb, Way> = {
    start: (domain) =>
      longWork(`Starting ${domain.name}`, () => app.call('domains.start', { id: domain.id }), {
        rescue: (failure) => repairOf(domain, failure),
      }),
    pause: (domain) => change(`Pausing ${domain.name}`, () => app.call('domains.pause', { id: domain.id })),
    resume: (domain) => change(`Resuming ${domain.name}`, () => app.call('domains.resume', { id: domain.id })),
    shutdown: (domain) =>
      longWork(`Shutting down ${domain.name}`, () => app.call('domains.shutdown', { id: domain.id }), {
        rescue: () => [{ label: 'Force Off…', run: () => choose('forceOff', domain).run() }],
      }),
    restart: (domain) => longWork(`Restarting ${domain.name}`, () => app.call('domains.restart', { id: domain.id })),
    save: (domain) => longWork(`Saving ${domain.name}`, () => app.call('domains.save', { id: domain.id })),
    forceOff: (domain) =>
      change(
        `Forcing ${domain.name} off`,
        () => app.call('domains.forceOff', { id: domain.id }),
        `Force ${domain.name} off?`,
        'This is like pulling the plug: what the guest has not written to its disk is lost.',
        'Force Off',
      ),
    discard: (domain) =>
      change(
        `Discarding the saved state of ${domain.name}`,
        () => app.call('domains.discard', { id: domain.id }),
        `Discard the saved state of ${domain.name}?`,
        'The run that was saved is lost; the next Start boots the guest. Its disks are kept.',
        'Discard',
      ),
    snapshot: ({ id }) => dialogs.show({ kind: 'snapshot', id }),
    revert: ({ id }) => router.push({ name: 'domain', params: { id, tab: 'snapshots' } }),
    clone: ({ id }) => dialogs.show({ kind: 'clone', id }),
    export: ({ id }) => dialogs.show({ kind: 'export', id }),
    rename: ({ id }) => dialogs.show({ kind: 'rename', id }),
    settings: ({ id }) => router.push({ name: 'domain', params: { id, tab: 'settings' } }),
    console: ({ id }) => router.push({ name: 'domain', params: { id, tab: 'console' } }),
    display: ({ id }) => router.push({ name: 'domain', params: { id, tab: 'console' } }),
    exec: ({ id }) => router.push({ name: 'domain', params: { id, tab: 'console' } }),
    delete: remove,
  }

  async function change(
    what: string,
    work: () => Promise<DomainView>,
    title = '',
    text = '',
    action = '',
  ): Promise<void> {
    if (title && !(await dialogs.ask({ title, text, action }))) return
    const domain = await notices.attempt(what, work)
    if (domain) domains.put(domain)
  }

  async function longWork(what: string, work: () => Promise<TaskView>, options: FollowOptions = {}): Promise<void> {
    const task = await notices.attempt(what, work)
    if (task) await tasks.follow(task, { retry: () => void longWork(what, work, options), ...options })
  }

  /** A start that a damaged disk has prevented can be tried again when the disk is mended. */
  function repairOf(domain: DomainView, failure: FailureView): NoticeAction[] {
    const disk = damagedDisk(failure)
    return disk === null ? [] : [{ label: 'Repair…', run: () => void repair(domain, disk) }]
  }

  async function repair({ id, name }: DomainView, disk: string): Promise<void> {
    const yes = await dialogs.ask({
      title: `Repair ${disk} of ${name}?`,
      text: 'A copy of the disk is mended and takes its place. What cannot be mended is lost; the damaged disk is kept beside it.',
      action: 'Repair',
      calm: true,
    })
    if (yes) await longWork(`Repairing ${disk} of ${name}`, () => app.call('disks.repair', { id, disk }))
  }

  async function remove({ id, name }: DomainView): Promise<void> {
    const next = neighbour(arrangeDomains(domains.list, sidebar), id)
    const gone = await notices.attempt(`Deleting ${name}`, () => app.call('domains.delete', { id }))
    if (!gone) return
    domains.drop(id)
    if (router.currentRoute.value.params['id'] === id)
      await router.replace(next ? { name: 'domain', params: { id: next } } : '/')
    notices.tell(`${name} was moved to the trash.`, [{ label: 'Undo', run: () => void restore(id, name) }])
  }

  async function restore(id: string, name: string): Promise<void> {
    const domain = await notices.attempt(`Restoring ${name}`, () => app.call('trash.restore', { id }))
    if (!domain) return
    domains.put(domain)
    await router.push({ name: 'domain', params: { id } })
  }

  function choose(verb: Verb, domain: DomainView): VerbChoice {
    const verdict = judge(verb, domain)
    return {
      verb,
      label: VERB_LABELS[verb],
      ...verdict,
      run: () => {
        // the state may have changed since the button was drawn
        const now = domains.get(domain.id)
        if (now && judge(verb, now).allowed) void WAYS[verb](now)
      },
    }
  }

  return { choose, longWork, repair, restore }
}
