// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, ref, type EffectScope } from 'vue'
import { NO_RATES, policyText, type FileRule, type IoDeviceView, type SandboxPolicy } from '../../src-main/contract'
import { accessWishFrom, accessWishOf, ruleForAccess } from '../../src-renderer/composables/access-wish'
import { deviceNote, deviceWord, limitsOf, withIoLimit } from '../../src-renderer/composables/io-rates'
import {
  draftOf,
  EMPTY_DRAFT,
  keyed,
  newRuleOf,
  placeOf,
  policyOf,
  ruleFaults,
} from '../../src-renderer/composables/policy-draft'
import { useExplainFile } from '../../src-renderer/composables/useExplain'
import { usePolicyDraft } from '../../src-renderer/composables/usePolicyDraft'
import { summaryOf } from '../../src-renderer/rule-words'
import { useApp } from '../../src-renderer/stores/app'
import { fileDenial } from '../support/file-views'
import { scriptedConnection } from '../support/scripted-connection'

const secrets: FileRule = newRuleOf('files', [], { name: 'Secrets', action: 'hide', paths: ['*.key', '/vault'] })
const run = newRuleOf('registry', [], { name: 'Autostart', action: 'deny', keys: ['HKLM\\**\\Run'] })
const POLICY: SandboxPolicy = policyOf({
  ...EMPTY_DRAFT,
  files: [keyed(secrets)],
  registry: [keyed(run)],
  io: [{ device: 'disk', ...NO_RATES, readBytes: 5 }],
})

describe('rules for files and the registry', () => {
  it('become the policy that they came from', () => {
    expect(policyOf(draftOf(POLICY))).toEqual(POLICY)
  })

  it('are told what is wrong with each field', () => {
    const faults = (fields: Partial<FileRule>) => {
      const one = keyed({ ...secrets, ...fields })
      return ruleFaults('files', one, [one])
    }
    expect(faults({})).toEqual({})
    expect(faults({ paths: [] }).paths).toMatch(/at least one path/)
    expect(faults({ paths: ['../up'] }).paths).toMatch(/goes down only/)
    expect(faults({ action: 'redirect' }).to).toMatch(/says where to/)
    expect(faults({ action: 'quota' }).bytes).toMatch(/says how much/)
    const key = keyed({ ...run, keys: ['Software'] })
    expect(ruleFaults('registry', key, [key]).keys).toMatch(/begins with/)
  })

  it('are told in few words', () => {
    expect(summaryOf('files', secrets)).toBe('all shares · *.key +1')
    const quota = { ...secrets, action: 'quota' as const, shares: ['docs'], bytes: 5 * 1024 * 1024, files: 1 }
    expect(summaryOf('files', quota)).toBe('docs · *.key +1 · up to 5 MiB, 1 file')
    expect(summaryOf('registry', { ...run, action: 'redirect', to: 'HKCU\\A' })).toBe('HKLM\\**\\Run · to HKCU\\A')
  })

  it('are found by the paths that main tells', () => {
    expect(placeOf('files.rules.1.paths')).toEqual({ section: 'files', rule: 1, field: 'paths' })
    expect(placeOf('registry.rules.0')).toEqual({ section: 'registry', rule: 0, field: '' })
    expect(placeOf('other.rules.0')).toBeNull()
  })

  it('that allow what was denied name exactly that', () => {
    const wish = accessWishOf(fileDenial({}))
    expect(accessWishFrom({ ...wish })).toEqual(wish)
    expect(ruleForAccess(wish, [])).toMatchObject({
      name: 'Allow shadow',
      action: 'allow',
      shares: ['docs'],
      paths: ['/etc/shadow'],
    })
    const key = accessWishOf(fileDenial({ kind: 'registry', share: '', path: 'HKLM\\Software' }))
    expect(ruleForAccess(key, [])).toMatchObject({ name: 'Allow Software', keys: ['HKLM\\Software'] })
    expect([accessWishFrom({ section: 'files' }), accessWishFrom({ section: 'x', path: '/a' })]).toEqual([null, null])
  })
})

describe('limits of disks and shares', () => {
  const device: IoDeviceView = {
    device: 'disk',
    rates: { ...NO_RATES, readBytes: 5 },
    now: { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0 },
    total: { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0 },
    waitedMs: 0,
    enforced: true,
    reason: '',
  }

  it('are set device by device, and left out where they limit nothing', () => {
    const more = withIoLimit(POLICY, 'share:docs', { ...NO_RATES, writeOps: 10 })
    expect([limitsOf(more.limits.io, 'disk').readBytes, limitsOf(more.limits.io, 'share:docs').writeOps]).toEqual([
      5, 10,
    ])
    expect(withIoLimit(more, 'disk', NO_RATES).limits.io.map((limit) => limit.device)).toEqual(['share:docs'])
    expect(limitsOf([], 'disk')).toEqual(NO_RATES)
  })

  it('are named, and what hinders is said', () => {
    expect(['', 'disk', 'disk1', 'share:docs'].map(deviceWord)).toEqual([
      'All together',
      'Disk',
      'Disk 2',
      'Share docs',
    ])
    expect(deviceNote(device)).toBe('')
    expect(deviceNote({ ...device, waitedMs: 500 })).toBe('Held back 50 % of the time')
    expect(deviceNote({ ...device, enforced: false, reason: 'QEMU is too old.' })).toBe('QEMU is too old.')
    expect(deviceNote({ ...device, enforced: false, rates: NO_RATES })).toBe('')
  })
})

describe('the sections of a draft', () => {
  let scope: EffectScope
  let answers: Record<string, (args: never) => unknown>
  const view = (policy: SandboxPolicy) => ({ policy, text: policyText(policy), template: '', warnings: [], once: [] })

  beforeEach(async () => {
    vi.useFakeTimers()
    setActivePinia(createPinia())
    scope = effectScope()
    answers = {
      'events.subscribe': () => ({}),
      'app.info': () => ({ engines: [] }),
      'policy.get': () => view(POLICY),
      'policy.check': ({ text }: { text: string }) => ({
        policy: JSON.parse(text) as SandboxPolicy,
        fault: null,
        warnings: [{ path: 'files.rules.0', message: 'No share has it.' }],
      }),
    }
    useApp().connect(scriptedConnection(answers))
    await vi.advanceTimersByTimeAsync(400)
  })
  afterEach(() => {
    scope.stop()
    vi.useRealTimers()
  })

  async function opened() {
    const draft = scope.run(() => usePolicyDraft('d'))!
    await draft.read()
    await vi.advanceTimersByTimeAsync(400)
    return draft
  }
  const names = (draft: Awaited<ReturnType<typeof opened>>) => draft.rules.value.map((one) => one.rule.name).join()

  it('are edited apart, and each is left as it was chosen', async () => {
    const draft = await opened()
    expect([names(draft), draft.warningsOf(0)]).toEqual(['', []])
    draft.turnTo('files')
    expect([names(draft), draft.chosen.value, draft.warningsOf(0)]).toEqual(['Secrets', 0, ['No share has it.']])
    draft.duplicate()
    expect([names(draft), draft.chosen.value]).toEqual(['Secrets,Secrets 2', 1])
    draft.turnTo('registry')
    draft.add()
    draft.move(-1)
    expect(names(draft)).toBe('New rule,Autostart')
    draft.turnTo('files')
    expect(draft.chosen.value).toBe(1)
  })

  it('are undone where it was done', async () => {
    const draft = await opened()
    draft.turnTo('files')
    draft.change({ name: 'Hidden' })
    draft.turnTo('registry')
    draft.remove()
    expect(names(draft)).toBe('')
    draft.turnTo('network')
    draft.undo()
    expect([draft.section.value, names(draft)]).toEqual(['registry', 'Autostart'])
    draft.undo()
    expect([draft.section.value, names(draft), draft.changed.value]).toEqual(['files', 'Secrets', false])
  })

  it('that are not shown still say what is wrong with them', async () => {
    const draft = await opened()
    draft.turnTo('files')
    draft.change({ paths: [] })
    expect(draft.fault.value).toMatch(/^Rule 1: /)
    draft.turnTo('network')
    expect([draft.fault.value.slice(0, 13), draft.whole.value]).toEqual(['File rule 1: ', null])
  })

  it('a path is asked about by the policy that is on the screen', async () => {
    const asked: unknown[] = []
    const answer = {
      uses: [{ use: 'see', allowed: false, rule: 'Secrets', index: 0 }],
      leadsTo: '',
      logged: [],
      sentence: 's',
    }
    answers['files.explain'] = (args: unknown) => {
      asked.push(args)
      return answer
    }
    const given = ref<SandboxPolicy | null>(POLICY)
    const explain = scope.run(() => useExplainFile('d', () => given.value))!
    await explain.ask()
    expect(asked).toEqual([])
    Object.assign(explain.question, { share: 'docs', path: 'vault' })
    await explain.ask()
    expect(asked).toEqual([{ id: 'd', policy: POLICY, share: 'docs', path: '/vault' }])
    expect(explain.answer.value).toEqual(answer)
    given.value = withIoLimit(POLICY, 'disk', NO_RATES)
    await vi.advanceTimersByTimeAsync(1)
    expect(asked).toHaveLength(2)
    explain.question.path = 'other'
    await vi.advanceTimersByTimeAsync(1)
    expect(explain.answer.value).toBeNull()
  })
})
