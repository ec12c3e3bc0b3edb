// @vitest-environment happy-dom
import { createPinia, setActivePinia } from 'pinia'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { effectScope, type EffectScope } from 'vue'
import { VmmError, type ContractEvent, type FileDenialView, type FilesView } from '../../src-main/contract'
import { useChanges } from '../../src-renderer/composables/useChanges'
import { useDenials } from '../../src-renderer/composables/useDenials'
import { useFiles } from '../../src-renderer/composables/useFiles'
import { useOnce } from '../../src-renderer/composables/useOnce'
import type { ConnectionListener } from '../../src-renderer/connection'
import { useApp } from '../../src-renderer/stores/app'
import { useDialogs } from '../../src-renderer/stores/dialogs'
import { useFileEvents } from '../../src-renderer/stores/files'
import { useKeys } from '../../src-renderer/stores/keys'
import { useNotices } from '../../src-renderer/stores/notices'
import { changeView, fileDenial, keysView, shareView } from '../support/file-views'
import { scriptedConnection } from '../support/scripted-connection'
import { domainView } from '../support/views'

const SHARE = shareView({ keptBytes: 100 })
const DENIAL = fileDenial({ seq: 1, at: 1000 })
const task = (state: 'running' | 'done') => ({ id: 't', state, title: 'Applying', startedAt: 1, failure: null })

let scope: EffectScope
let listener: ConnectionListener
let files: FilesView
let answers: Record<string, (args: Record<string, unknown>) => unknown>
const calls: [name: string, args: Record<string, unknown>][] = []

const settle = () => new Promise((done) => setTimeout(done))
const tell = (event: ContractEvent): void => listener.onEvent(event)
const told = (name: string): Record<string, unknown>[] =>
  calls.filter(([called]) => called === name).map(([, args]) => args)
const domain = () => domainView({ id: 'd', state: 'off' })
const event = (fields: Partial<Extract<ContractEvent, { topic: 'files' }>['payload']>): ContractEvent => ({
  topic: 'files',
  payload: { id: 'd', meters: null, denials: [], changed: '', ...fields },
})

beforeEach(async () => {
  setActivePinia(createPinia())
  scope = effectScope()
  calls.length = 0
  files = { id: 'd', shares: [SHARE], devices: [], group: null }
  answers = {
    'events.subscribe': () => ({}),
    'app.info': () => ({ engines: [] }),
    'domains.list': () => [domain()],
    'files.get': () => files,
    'files.removeShare': () => ({ ...files, shares: [] }),
    'files.changes': () => ({ changes: [changeView()], total: 1, added: 0, changed: 1, deleted: 0 }),
    'files.sides': () => ({ before: 'a', after: 'b', binary: false, cut: false, bytesBefore: 1, bytesAfter: 1 }),
    'files.denials': () => [DENIAL],
    'files.once': () => ({ files: [], registry: [] }),
    'network.denials': () => [],
    'keys.get': () => keysView({ locked: true }),
    'tasks.list': () => [],
  }
  useFileEvents()
  useKeys()
  const noted = new Proxy(answers, {
    get: (all, name: string) => {
      const answer = all[name]
      return (
        answer &&
        ((args: Record<string, unknown>) => {
          calls.push([name, args])
          return answer(args)
        })
      )
    },
  })
  useApp().connect((given) => {
    listener = given
    return scriptedConnection(noted)(given)
  })
  await settle()
})
afterEach(() => {
  scope.stop()
  vi.restoreAllMocks()
})

describe('shares of a domain', () => {
  it('are read once, then when main says that they changed', async () => {
    const { view, meters } = scope.run(() => useFiles(domain))!
    await settle()
    expect(view.value?.shares).toEqual([SHARE])
    files = { ...files, shares: [] }
    tell(event({ id: 'other', changed: 'files' }))
    tell(event({ changed: 'registry' }))
    await settle()
    expect(told('files.get')).toHaveLength(1)
    tell(event({ id: '', changed: 'files' }))
    await settle()
    expect(view.value?.shares).toEqual([])

    const group = null
    tell(event({ meters: { devices: [], group } }))
    expect(meters.value).toEqual({ devices: [], group })
    expect(told('files.get')).toHaveLength(2)
  })

  it('are removed only after a question when changes go with them', async () => {
    const { remove, view } = scope.run(() => useFiles(domain))!
    await settle()
    const dialogs = useDialogs()
    const removing = remove(SHARE)
    await settle()
    expect(dialogs.open).toMatchObject({ question: { text: expect.stringMatching(/^1 change .*detach/) } })
    dialogs.close()
    await removing
    expect(told('files.removeShare')).toEqual([])

    answers['files.changes'] = () => ({ changes: [], total: 0, added: 0, changed: 0, deleted: 0 })
    await remove(SHARE)
    expect(told('files.removeShare')).toEqual([{ id: 'd', shareId: SHARE.id }])
    expect(view.value?.shares).toEqual([])
  })

  it('are not removed unasked when their changes cannot be counted', async () => {
    answers['files.changes'] = () => {
      throw new VmmError('damaged', 'The journal is damaged.')
    }
    const { remove } = scope.run(() => useFiles(domain))!
    const removing = remove(SHARE)
    await settle()
    expect(useDialogs().open?.kind).toBe('question')
    useDialogs().close()
    await removing
    expect(told('files.removeShare')).toEqual([])
  })
})

describe('changes of a share', () => {
  const opened = async () => {
    const changes = scope.run(() => useChanges(domain, () => SHARE))!
    await settle()
    return changes
  }

  it('are applied after a question that tells of conflicts, and forced only when that was chosen', async () => {
    const change = changeView({ conflict: true })
    answers['files.changes'] = () => ({ changes: [change], total: 1, added: 0, changed: 1, deleted: 0 })
    answers['files.apply'] = () => task('done')
    const changes = await opened()
    changes.choose([change.key], true)
    const applying = changes.apply()
    await settle()
    const asked = useDialogs().open
    expect(asked).toMatchObject({ kind: 'apply', question: { folder: SHARE.folder, changes: [change] } })
    if (asked?.kind === 'apply') asked.answer(true)
    await applying
    expect(told('files.apply')).toEqual([{ id: 'd', shareId: SHARE.id, keys: [change.key], force: true }])
    expect(told('files.changes').length).toBeGreaterThan(1)
  })

  it('are neither applied nor discarded when the answer is no', async () => {
    const changes = await opened()
    changes.choose([changeView().key], true)
    for (const ask of [changes.apply, changes.discard]) {
      const asking = ask()
      await settle()
      useDialogs().close()
      await asking
    }
    expect([...told('files.apply'), ...told('files.discard')]).toEqual([])
  })

  it('are chosen no longer when they are gone, and neither is what is shown of them', async () => {
    const changes = await opened()
    changes.choose([changeView().key], true)
    await changes.look(changeView())
    expect(changes.sides.value?.after).toBe('b')
    answers['files.changes'] = () => ({ changes: [], total: 0, added: 0, changed: 0, deleted: 0 })
    await changes.refresh()
    await settle()
    expect([changes.chosen.value.size, changes.looked.value, changes.sides.value]).toEqual([0, null, null])
  })

  it('tell a file anew when the guest changes it again', async () => {
    const changes = await opened()
    await changes.look(changeView())
    answers['files.changes'] = () => ({
      changes: [changeView()],
      total: 1,
      added: 0,
      changed: 1,
      deleted: 0,
    })
    answers['files.sides'] = () => ({
      before: 'a',
      after: 'c',
      binary: false,
      cut: false,
      bytesBefore: 1,
      bytesAfter: 1,
    })
    await changes.refresh()
    await settle()
    expect(changes.sides.value?.after).toBe('c')
  })
})

describe('denials', () => {
  it('of files, registry and network are one list by time', async () => {
    const rows = scope.run(() => useDenials(() => 'd'))!
    await settle()
    const key: FileDenialView = { ...DENIAL, seq: 2, at: 3000, kind: 'registry', share: '', path: 'HKLM\\Software' }
    tell(event({ denials: [key] }))
    tell({
      topic: 'network',
      payload: {
        id: 'd',
        sample: null,
        denials: [
          {
            seq: 1,
            at: 2000,
            domainId: 'd',
            nic: 0,
            direction: 'out',
            protocol: 'tcp',
            peer: '192.0.2.1',
            peerName: '',
            port: 443,
            rule: 'default deny',
            index: -1,
            reason: '',
            count: 1,
          },
        ],
        changed: false,
      },
    })
    expect(rows.value.map(({ badge, way, what }) => `${badge} ${way} ${what}`)).toEqual([
      'Registry change HKLM\\Software',
      'TCP to 192.0.2.1:443',
      'File change /etc/shadow',
    ])
    tell(event({ denials: [{ ...DENIAL, at: 4000, count: 5 }] }))
    expect(rows.value.map(({ count }) => count)).toEqual([5, 1, 1])
  })

  it('are allowed once, which is told until it is forgotten', async () => {
    const rule = {
      name: 'once 1',
      action: 'allow',
      shares: ['docs'],
      paths: ['/etc/shadow'],
      to: '',
      bytes: 0,
      files: 0,
    }
    answers['files.allowOnce'] = () => ({ files: [rule], registry: [] })
    answers['files.forgetOnce'] = () => ({ files: [], registry: [] })
    const once = scope.run(() => useOnce(domain))!
    await settle()
    await once.allow(DENIAL)
    expect(told('files.allowOnce')).toEqual([{ id: 'd', seq: 1 }])
    expect(once.words.value).toEqual(['docs · /etc/shadow'])
    await once.forget()
    expect(once.words.value).toEqual([])
  })
})

describe('keys', () => {
  it('are opened by the right passphrase alone', async () => {
    const keys = useKeys()
    expect(keys.view?.locked).toBe(true)
    answers['keys.unlock'] = ({ passphrase }) => {
      if (passphrase !== 'the right one') throw new VmmError('denied', 'This is not the passphrase.')
      return keysView({ locked: false })
    }
    expect(await keys.unlock('a wrong one')).toMatchObject({ message: 'This is not the passphrase.' })
    expect(keys.view?.locked).toBe(true)
    expect(await keys.unlock('the right one')).toBeNull()
    expect(keys.view?.locked).toBe(false)
  })

  it('are read again when main says so, and a passphrase goes only where one is wanted', async () => {
    const keys = useKeys()
    answers['keys.get'] = () => keysView({ locked: false, imported: 2 })
    tell(event({ id: '', changed: 'keys' }))
    await settle()
    expect(keys.view?.imported).toBe(2)
    answers['keys.protect'] = () => keysView({ protection: 'file' })
    expect(await keys.protect('file', 'left over')).toBe(true)
    expect(told('keys.protect')).toEqual([{ protection: 'file' }])
  })

  it('that cannot be read leave the rest of the window as it is', async () => {
    answers['keys.get'] = () => {
      throw new VmmError('internal', 'no keychain')
    }
    tell(event({ id: '', changed: 'keys' }))
    await settle()
    expect([useKeys().view, useApp().loadFailure, useNotices().list]).toEqual([null, null, []])
  })
})
