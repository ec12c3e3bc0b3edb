// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { beforeEach, describe, expect, it } from 'vitest'
import { type ContractEvent, type TaskView } from '../../src-main/contract'
import { arrangeDomains, matches, neighbour } from '../../src-renderer/composables/arrange-domains'
import { judge } from '../../src-renderer/composables/useVerbs'
import { useApp } from '../../src-renderer/stores/app'
import { useDomains } from '../../src-renderer/stores/domains'
import { useNotices } from '../../src-renderer/stores/notices'
import { useTasks } from '../../src-renderer/stores/tasks'
import { freeName, useTrial } from '../../src-renderer/stores/trial'
import { scriptedConnection } from '../support/scripted-connection'
import { domainView, NOTHING } from '../support/views'

const domain = domainView

function task(fields: Partial<TaskView>): TaskView {
  return {
    id: 't1',
    kind: 'domain.start',
    title: 'Work',
    domainId: null,
    state: 'running',
    step: '',
    done: 0,
    total: 0,
    unit: '',
    leftMs: null,
    cancellable: true,
    startedAt: 0,
    endedAt: null,
    failure: null,
    resultId: '',
    ...fields,
  }
}

const plain = { query: '', sort: 'name' as const, folded: new Set<string>() }
const shown = (rows: ReturnType<typeof arrangeDomains>) =>
  rows.map((row) => (row.kind === 'group' ? `[${row.name}]` : row.domain.name))

describe('the list of domains', () => {
  const domains = [
    domain({ name: 'web-10', group: 'Lab' }),
    domain({ name: 'web-2', group: 'Lab', state: 'running' }),
    domain({ name: 'alone', createdAt: 5 }),
    domain({ name: 'bad', group: 'Analysis', state: 'crashed', createdAt: 9 }),
  ]

  it('puts domains without a group first, then groups by name, and counts numbers as numbers', () => {
    expect(shown(arrangeDomains(domains, plain))).toEqual(['alone', '[Analysis]', 'bad', '[Lab]', 'web-2', 'web-10'])
  })

  it('hides the domains of a folded group, but not from a search', () => {
    const folded = new Set(['Lab'])
    expect(shown(arrangeDomains(domains, { ...plain, folded }))).toEqual(['alone', '[Analysis]', 'bad', '[Lab]'])
    expect(shown(arrangeDomains(domains, { ...plain, folded, query: 'web-2' }))).toEqual(['[Lab]', 'web-2'])
  })

  it('sorts by state and by age', () => {
    const loose = domains.map((one) => ({ ...one, group: '' }))
    expect(shown(arrangeDomains(loose, { ...plain, sort: 'state' }))).toEqual(['web-2', 'bad', 'alone', 'web-10'])
    expect(shown(arrangeDomains(loose, { ...plain, sort: 'created' })).slice(0, 2)).toEqual(['bad', 'alone'])
  })

  it('finds by name, group, state and image, all words at once', () => {
    expect(matches(domains[1]!, 'lab RUNNING')).toBe(true)
    expect(matches(domains[1]!, 'debian web')).toBe(true)
    expect(matches(domains[1]!, 'lab crashed')).toBe(false)
  })

  it('tells each row its place among its own kind', () => {
    const rows = arrangeDomains(domains, plain)
    expect(rows.map(({ place, of }) => `${place}/${of}`)).toEqual(['1/3', '2/3', '1/1', '3/3', '1/2', '2/2'])
  })

  it('names the domain to look at when one goes away', () => {
    const rows = arrangeDomains(domains, plain)
    expect(neighbour(rows, 'web-2')).toBe('web-10')
    expect(neighbour(rows, 'web-10')).toBe('web-2')
    expect(neighbour(rows, 'gone')).toBeNull()
  })

  it('arranges 500 domains in well under a frame', () => {
    const many = Array.from({ length: 500 }, (_, index) =>
      domain({ name: `host-${index}`, group: `Group ${index % 7}` }),
    )
    arrangeDomains(many, { ...plain, query: 'host' })
    const begun = performance.now()
    const rows = arrangeDomains(many, { ...plain, query: 'host-4' })
    expect(performance.now() - begun).toBeLessThan(16)
    expect(rows.filter((row) => row.kind === 'domain')).toHaveLength(111)
  })
})

describe('verbs', () => {
  it('follow the table of states', () => {
    expect(judge('start', domain({ state: 'off' })).allowed).toBe(true)
    expect(judge('pause', domain({ state: 'off' }))).toEqual({
      allowed: false,
      reason: 'Pause is not possible while it is off. Start it first.',
    })
  })

  it('are refused where the engine cannot do them, with the reason', () => {
    const capabilities = NOTHING
    for (const verb of ['pause', 'save', 'snapshot'] as const) {
      const verdict = judge(verb, domain({ state: 'running', capabilities }))
      expect(verdict.allowed).toBe(false)
      expect(verdict.reason).toMatch(/engine/)
    }
    expect(judge('snapshot', domain({ state: 'off', capabilities })).allowed).toBe(true)
  })
})

describe('stores', () => {
  let send: (event: ContractEvent) => void
  const calls: string[] = []
  let answers: Record<string, (args: never) => unknown> = {}

  beforeEach(async () => {
    setActivePinia(createPinia())
    calls.length = 0
    const usual: typeof answers = {
      'events.subscribe': () => ({}),
      'app.info': () => ({ engines: [] }),
      'domains.list': () => [domain({ name: 'web-1', state: 'running' })],
      'tasks.list': () => [],
      'settings.get': () => ({ theme: 'system', consoleFontSize: 14, welcomed: false, dnsServers: [] }),
      'settings.update': () => ({}),
    }
    answers = usual
    const app = useApp()
    useDomains()
    useTasks()
    useTrial()
    app.connect((listener) => {
      send = listener.onEvent
      const connection = scriptedConnection(answers)(listener)
      return { ...connection, call: (name, args) => (calls.push(name), connection.call(name, args)) }
    })
    await new Promise((read) => setTimeout(read))
    expect(app.ready).toBe(true)
  })

  it('replace what an event tells and forget what was removed', () => {
    const domains = useDomains()
    send({ topic: 'domains', payload: { changed: [domain({ name: 'web-1', state: 'paused' })], removed: [] } })
    expect(domains.get('web-1')?.state).toBe('paused')
    expect(useNotices().spoken).toBe('web-1: Paused')
    send({ topic: 'domains', payload: { changed: [], removed: ['web-1'] } })
    expect(domains.list).toEqual([])
  })

  it('show a crash with its reason', () => {
    send({
      topic: 'domains',
      payload: { changed: [domain({ name: 'web-1', state: 'crashed', stateReason: 'signal 9' })], removed: [] },
    })
    expect(useNotices().list[0]?.failure?.message).toBe('signal 9')
  })

  it('tell the outcome of a task whose end came before its beginning was answered', async () => {
    send({ topic: 'tasks', payload: { changed: [task({ state: 'done', resultId: 'x' })] } })
    expect((await useTasks().settled(task({}))).resultId).toBe('x')
  })

  it('show a failed task with a way to try again', async () => {
    const tasks = useTasks()
    let retried = false
    const following = tasks.follow(task({}), { retry: () => (retried = true) })
    const failure = { kind: 'engine', message: 'It broke.', hint: 'Mend it.', detail: '' } as const
    send({ topic: 'tasks', payload: { changed: [task({ state: 'failed', failure })] } })
    await following
    const notice = useNotices().list.at(-1)
    expect(notice?.failure?.hint).toBe('Mend it.')
    notice?.actions.find(({ label }) => label === 'Try again')?.run()
    expect(retried).toBe(true)
  })

  it("go from 'try a guest now' to a started domain", async () => {
    answers['images.prepareStarter'] = () => task({ id: 'prepare' })
    answers['domains.create'] = ({ spec }: { spec: { name: string; imageId: string } }) =>
      domain({ id: 'new', name: spec.name, imageId: spec.imageId })
    answers['domains.start'] = () => task({ id: 'start', state: 'done' })
    const trial = useTrial()
    const begun = trial.begin()
    await new Promise((answered) => setTimeout(answered))
    expect(trial.phase).toBe('preparing')
    send({ topic: 'tasks', payload: { changed: [task({ id: 'prepare', state: 'done', resultId: 'starter' })] } })
    expect(await begun).toBe('new')
    expect(useDomains().get('new')).toMatchObject({ name: 'try-1', imageId: 'starter' })
    expect(calls).toContain('domains.start')
  })

  it('keep the failure of a trial for its panel, and nothing of a cancelled one', async () => {
    const failure = { kind: 'disk-full', message: 'The disk is full.', hint: 'Free some space.', detail: '' } as const
    answers['images.prepareStarter'] = () => task({ state: 'failed', failure })
    const trial = useTrial()
    expect(await trial.begin()).toBeNull()
    expect(trial.failure?.kind).toBe('disk-full')
    answers['images.prepareStarter'] = () => task({ id: 't2', state: 'cancelled' })
    expect(await trial.begin()).toBeNull()
    expect(trial.phase).toBe('idle')
  })

  it('find a free name', () => {
    expect(freeName('try', new Set(['try-1', 'try-3']))).toBe('try-2')
  })
})
