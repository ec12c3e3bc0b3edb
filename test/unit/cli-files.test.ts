import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { refusalArgument } from '../../src-main/cli/refusals'
import { unifiedDiff } from '../../src-main/cli/unified-diff'
import { EMPTY_POLICY, type SandboxPolicy } from '../../vmm/model/policy'
import { ending, spawnCommand, vivarium } from '../support/command-line'
import { access, change, changes, fileDenial, files, keys } from '../support/command-file-views'
import { denial } from '../support/network-views'
import { notingMain } from '../support/noting-main'
import { domainView } from '../support/views'

const web = domainView({ id: 'id-web', name: 'web', group: 'lab' })
const PASSPHRASE = 'correct horse battery'
const task = { id: 'id-task', title: 'Work', state: 'succeeded', failure: null, resultId: '' }

async function mainThat(handlers: Parameters<typeof notingMain>[0] = {}) {
  let policy: SandboxPolicy = EMPTY_POLICY
  let settings = { groupLimits: [] as unknown[] }
  const once = { files: [{ name: 'allowed once: /secret' }], registry: [] }
  const main = await notingMain({
    'events.subscribe': () => ({}),
    'domains.list': () => [web],
    'files.get': () => files,
    'files.addShare': () => files,
    'files.updateShare': () => files,
    'files.removeShare': () => ({ ...files, shares: [] }),
    'files.mount': () => files,
    'files.changes': () => changes,
    'files.sides': () => ({
      before: 'one\ntwo\n', after: 'one\nthree\u001b[2J\n', binary: false, cut: false, bytesBefore: 8, bytesAfter: 10,
    }), // prettier-ignore
    'files.apply': () => task,
    'files.discard': () => task,
    'files.explain': () => access,
    'files.denials': () => [fileDenial],
    'files.allowOnce': () => once,
    'files.forgetOnce': () => ({ files: [], registry: [] }),
    'network.denials': () => [denial],
    'network.allowOnce': () => ({ once: [{ name: 'allowed once' }] }),
    'network.forgetOnce': () => ({}),
    'policy.get': () => ({ policy }),
    'policy.set': (args) => {
      policy = (args as { policy: SandboxPolicy }).policy
      return { policy }
    },
    'settings.get': () => settings,
    'settings.update': (args) => (settings = args as typeof settings),
    'keys.get': () => keys,
    'keys.unlock': () => ({ ...keys, locked: false }),
    'keys.protect': () => keys,
    'keys.export': () => keys,
    'keys.import': () => keys,
    ...handlers,
  })
  return { ...main, policy: () => policy, settings: () => settings }
}

describe('vivarium shares', () => {
  test('lists, adds, changes, removes and mounts them', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['shares', 'web'])
    await vivarium(home, ['shares', 'add', 'web', '/home/me/work'])
    await vivarium(home, ['shares', 'add', 'web', '/srv', '--name', 'srv', '--mode', 'read-only', '--no-mount'])
    await vivarium(home, ['shares', 'set', 'web', 'work', '--mode', 'direct', '--no-attach'])
    const idle = await vivarium(home, ['shares', 'set', 'web', 'work'])
    const gone = await vivarium(home, ['shares', 'remove', 'web', 'other'])
    const wrong = await vivarium(home, ['shares', 'rm', 'web', 'nothing'])
    await vivarium(home, ['shares', 'mount', 'web'])

    expect(stdout).toMatch(/^work +copy-on-write +\/home\/me\/work +served +\/mnt\/work +3\.0 MB, encrypted$/m)
    expect(stdout).toMatch(/^other +direct .* served +mount -t 9p work \/mnt\/work$/m)
    expect(asked['files.addShare']).toEqual([
      { id: 'id-web', folder: '/home/me/work', mode: 'copy-on-write', mounted: true },
      { id: 'id-web', folder: '/srv', name: 'srv', mode: 'read-only', mounted: false },
    ])
    expect(asked['files.updateShare']).toEqual([{ id: 'id-web', shareId: 'id-share', mode: 'direct', attached: false }])
    expect(idle).toMatchObject({ status: 1, stderr: expect.stringContaining('nothing to change') })
    expect(asked['files.removeShare']).toEqual([{ id: 'id-web', shareId: 'id-other' }])
    expect(gone.stdout).toBe('No shares.\n')
    expect(wrong.stderr).toContain("no share called 'nothing'")
    expect(asked['files.mount']).toEqual([{ id: 'id-web' }])
  })

  test('lists what changed, and shows how a text differs', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['shares', 'changes', 'web', 'work', '--under', '/src'])
    const diff = await vivarium(home, ['shares', 'diff', 'web', 'work', 'src/a.txt'])
    const none = await vivarium(home, ['shares', 'diff', 'web', 'work', '/src'])

    expect(stdout).toMatch(/^changed +file +10 bytes +12 bytes +\/src\/a\.txt +the host has changed it too$/m)
    expect(stdout).toMatch(/^added +file +12 bytes +\/src\/é\ufffd\[2J$/m)
    expect(stdout).toContain('1 added, 1 changed, 0 deleted')
    expect(asked['files.changes']?.[0]).toEqual({ id: 'id-web', shareId: 'id-share', under: '/src', limit: 1000 })
    expect(asked['files.sides']).toEqual([{ id: 'id-web', shareId: 'id-share', key: change.key }])
    expect(diff.stdout).toBe('--- a/src/a.txt\n+++ b/src/a.txt\n@@ -1,2 +1,2 @@\n one\n-two\n+three\ufffd[2J\n')
    expect(none.stderr).toContain("has not changed '/src'")
  })

  test('brings changes to the host or throws them away, by their keys', async () => {
    const { home, asked } = await mainThat()
    const both = changes.changes.map(({ key }) => key)

    const applied = await vivarium(home, ['shares', 'apply', 'web', 'work', '/src', '--force'])
    await vivarium(home, ['shares', 'discard', 'web', 'work', '--all'])
    const unclear = await vivarium(home, ['shares', 'discard', 'web', 'work'])

    expect(asked['files.changes']?.map((each) => (each as { under: string }).under)).toEqual(['/src', ''])
    expect(asked['files.apply']).toEqual([{ id: 'id-web', shareId: 'id-share', keys: both, force: true }])
    expect(asked['files.discard']).toEqual([{ id: 'id-web', shareId: 'id-share', keys: both }])
    expect(applied.stdout).toBe('2 changes brought to the host.\n')
    expect(unclear.stderr).toContain('--all')
  })

  test('chooses what is sealed of new domains', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['keys', 'seal', 'disks'])
    await vivarium(home, ['keys', 'seal', 'nothing'])

    expect(asked['settings.update']).toEqual([{ sealing: true, sealDisks: true }, { sealing: false }])
    expect(stdout).toBe('Of new domains, changes in shares, the registry and disks are sealed.\n')
  })

  test('does nothing in part: more changes than one call takes are refused', async () => {
    const { home, asked } = await mainThat({ 'files.changes': () => ({ ...changes, total: 5001 }) })

    const { status, stderr } = await vivarium(home, ['shares', 'apply', 'web', 'work', '--all'])

    expect(status).toBe(1)
    expect(stderr).toContain('more than 5000 changes')
    expect(asked['files.apply']).toBeUndefined()
  })

  test('tells of the task that left something alone', async () => {
    const failure = {
      kind: 'conflict',
      message: '1 done, 1 left alone.',
      hint: 'Look at those.',
      detail: '',
      context: {},
    }
    const { home } = await mainThat({ 'files.apply': () => ({ ...task, state: 'failed', failure }) })

    const { status, stderr } = await vivarium(home, ['shares', 'apply', 'web', 'work', '--all'])

    expect(status).toBe(1)
    expect(stderr).toContain('1 left alone')
  })

  test('explains a path', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['shares', 'explain', 'web', 'work', '/a'])

    expect(stdout).toBe("It can be read and not changed.\nsee: allowed\nchange: refused by 'Keep'\n")
    expect(asked['files.explain']).toEqual([{ id: 'id-web', share: 'work', path: '/a' }])
  })

  test('a unified diff tells of sides that are missing or the same, and gives up on very many lines', () => {
    const lines = (word: string): string => Array.from({ length: 6000 }, (_, n) => `${word} ${n}\n`).join('')

    expect(unifiedDiff('/a', null, 'x\n')).toBe('--- /dev/null\n+++ b/a\n@@ -0,0 +1,1 @@\n+x')
    expect(unifiedDiff('/a', 'x\n', null)).toContain('+++ /dev/null')
    expect(unifiedDiff('/a', 'x', 'x')).toBe('The content of /a is the same.')
    expect(unifiedDiff('/a', lines('a'), lines('b'))).toContain('more than 5000 lines differ')
  })
})

describe('vivarium io', () => {
  test('shows what is moved, and of how much', async () => {
    const { home } = await mainThat()

    const { stdout } = await vivarium(home, ['io', 'web'])

    expect(stdout).toMatch(/^all +0 bytes\/s +0 bytes\/s +0 +0$/m)
    expect(stdout).toMatch(/^share:work +0 bytes\/s +4\.9 MB\/s of 5\.0 MB\/s +0 +0 +800 ms$/m)
    expect(stdout).toMatch(/^group lab .* No\.$/m)
  })

  test('sets limits of a device in the policy, and of the group in the settings', async () => {
    const main = await mainThat()

    await vivarium(main.home, ['io', 'web', '--device', 'share:work', '--write', '5M', '--burst', '50'])
    await vivarium(main.home, ['io', 'web', '--read-ops', '100'])
    await vivarium(main.home, ['io', 'web', '--device', 'share:work', '--read', '1M'])
    await vivarium(main.home, ['io', 'web', '--group', '--read', '20M'])
    const unknown = await vivarium(main.home, ['io', 'web', '--device', 'disk9', '--read', '1'])
    const idle = await vivarium(main.home, ['io', 'web', '--group'])

    const rates = { readBytes: 0, writeBytes: 0, readOps: 0, writeOps: 0, burstMs: 100 }
    expect(main.policy().limits.io).toEqual([
      { device: '', ...rates, readOps: 100 },
      { device: 'share:work', ...rates, readBytes: 1e6, writeBytes: 5e6, burstMs: 50 },
    ])
    expect(main.settings().groupLimits).toEqual([{ group: 'lab', ...rates, readBytes: 20e6 }])
    expect(unknown.stderr).toContain("no device called 'disk9'")
    expect(idle.stderr).toContain('The limit is missing')

    await vivarium(main.home, ['io', 'web', '--device', 'share:work', '--none'])
    await vivarium(main.home, ['io', 'web', '--group', '--none'])
    expect(main.policy().limits.io).toHaveLength(1)
    expect(main.settings().groupLimits).toEqual([])
  })
})

describe('vivarium denials', () => {
  test('lists those of the network and of files by their time, and allows one of either kind', async () => {
    const { home, asked } = await mainThat()

    const { stdout } = await vivarium(home, ['denials', 'web'])
    await vivarium(home, ['allow-once', 'web', 'n7'])
    const once = await vivarium(home, ['allow-once', 'web', 'f7'])
    const wrong = await vivarium(home, ['allow-once', 'web', '7'])
    await vivarium(home, ['forget-once', 'web'])

    expect(stdout.split('\n').slice(1, 3)).toEqual([
      expect.stringMatching(/^n7 .* tcp to example\.org.* default deny +3$/),
      expect.stringMatching(/^f7 .* read work:\/secret +No secrets +2$/),
    ])
    expect(asked['network.allowOnce']).toEqual([{ id: 'id-web', seq: 7 }])
    expect(asked['files.allowOnce']).toEqual([{ id: 'id-web', seq: 7 }])
    expect(once.stdout).toBe('allowed once: /secret\n')
    expect(wrong.status).toBe(2)
    expect(asked['network.forgetOnce']).toHaveLength(1)
    expect(asked['files.forgetOnce']).toHaveLength(1)
    for (const text of ['f', 'x7', 'f-1', 'f7 ']) expect(() => refusalArgument(text)).toThrow('number')
  })

  test('follows them, each told once', async () => {
    let asked = 0
    const { home } = await mainThat({
      'files.denials': () => (asked++ === 0 ? [fileDenial] : [fileDenial, { ...fileDenial, seq: 8, rule: 'No news' }]),
    })
    const child = spawnCommand(home, ['denials', 'web', '--follow'])
    let seen = ''
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text: string) => {
        seen += text
        if (seen.includes('No news')) resolve()
      })
    })
    child.kill()
    await ending(child)

    expect(seen.match(/No secrets/g)).toHaveLength(1)
    expect(seen).toContain('(n7)')
  })
})

describe('vivarium keys', () => {
  test('shows what guards them, what is protected and what is not', async () => {
    const { home } = await mainThat()

    const { stdout } = await vivarium(home, ['keys'])

    expect(stdout).toMatch(/^Guarded by: +a passphrase$/m)
    expect(stdout).toMatch(/^State: +locked$/m)
    expect(stdout).toContain('Not protected:\n- Images.')
  })

  test('takes passphrases from standard input or a file, never from the command line', async () => {
    const { home, asked } = await mainThat()
    const file = join(home, 'passphrase')
    await writeFile(file, `${PASSPHRASE}\r\n`)

    await vivarium(home, ['keys', 'unlock'], `${PASSPHRASE}\n`)
    await vivarium(home, ['keys', 'protect', 'passphrase', '--passphrase-file', file])
    await vivarium(home, ['keys', 'protect', 'file'])
    await vivarium(home, ['keys', 'export', '/tmp/keys', '--passphrase-file', file])
    await vivarium(home, ['keys', 'import', '/tmp/keys'], PASSPHRASE)
    const missing = await vivarium(home, ['keys', 'unlock', '--passphrase-file', '/nowhere'])
    const given = await vivarium(home, ['keys', 'unlock', '--passphrase', PASSPHRASE])

    expect(asked['keys.unlock']).toEqual([{ passphrase: PASSPHRASE }])
    expect(asked['keys.protect']).toEqual([
      { protection: 'passphrase', passphrase: PASSPHRASE },
      { protection: 'file' },
    ])
    expect(asked['keys.export']).toEqual([{ path: '/tmp/keys', passphrase: PASSPHRASE }])
    expect(asked['keys.import']).toEqual([{ path: '/tmp/keys', passphrase: PASSPHRASE }])
    expect(missing.stderr).toContain('could not be read')
    expect(given.status).toBe(2)
  })
})

test.each([
  [['shares', 'add', 'web', '/srv', '--mode', 'sideways']],
  [['shares', 'changes', 'web', 'work', '--limit', '5001']],
  [['io', 'web', '--burst', '1']],
  [['keys', 'protect', 'hope']],
])('%j is wrong use', async (args) => {
  expect((await vivarium('/nowhere/at/all', args)).status).toBe(2)
})
