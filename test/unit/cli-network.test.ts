import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import * as v from 'valibot'
import { describe, expect, test } from 'vitest'
import { forwardArgument } from '../../src-main/cli/forwards'
import { EMPTY_POLICY, SandboxPolicySchema, type SandboxPolicy } from '../../vmm/model/policy'
import { policyText } from '../../vmm/model/policy-text'
import { POLICY_TEMPLATES, templateOf, withTemplate } from '../../vmm/model/policy-templates'
import { ending, spawnCommand, vivarium } from '../support/command-line'
import { capture, denial, flow, mirror, network, networks } from '../support/network-views'
import { notingMain } from '../support/noting-main'
import { domainView } from '../support/views'

const web = domainView({ id: 'id-web', name: 'web' })
const ids = domainView({ id: 'id-ids', name: 'ids' })

const CONTENT = Buffer.from('a recording in parts')

/** A running main that knows two domains; what it is asked is checked against the contract, and kept. */
async function mainThat(handlers: Parameters<typeof notingMain>[0] = {}) {
  let policy: SandboxPolicy = EMPTY_POLICY
  const view = () => ({ policy, text: policyText(policy), template: templateOf(policy), warnings: [], once: [] })
  const usual: typeof handlers = {
    'events.subscribe': () => ({}),
    'domains.list': () => [web, ids],
    'network.get': () => network,
    'network.connect': () => network,
    'network.addForward': () => network,
    'network.removeForward': () => network,
    'network.flows': () => [flow],
    'network.denials': () => [denial],
    'network.allowOnce': () => ({ ...view(), once: [{ name: 'allowed once' }] }),
    'network.forgetOnce': view,
    'networks.get': () => networks,
    'mirrors.add': () => mirror,
    'mirrors.remove': () => ({}),
    'captures.start': () => capture,
    'captures.stop': () => ({ ...capture, running: false }),
    'captures.remove': () => ({}),
    'captures.read': (args) => {
      const { offset } = args as { offset: number }
      return { bytes: CONTENT.subarray(offset, offset + 7), size: CONTENT.length }
    },
    'policy.get': view,
    'policy.set': (args) => {
      policy = (args as { policy: SandboxPolicy }).policy
      return view()
    },
    'policy.templates': () =>
      POLICY_TEMPLATES.map(({ id, name, summary }) => ({
        id,
        name,
        description: summary,
        policy: withTemplate(EMPTY_POLICY, id),
      })),
    ...handlers,
  }
  return { ...(await notingMain(usual)), policy: () => policy }
}

describe('vivarium policy', () => {
  test('takes a template, and leaves the limits', async () => {
    const main = await mainThat()
    await vivarium(main.home, ['policy', 'template', 'web', 'Web only'])
    const listed = await vivarium(main.home, ['policy', 'template', 'web'])

    expect(templateOf(main.policy())).toBe('web')
    expect(listed.stdout).toMatch(/^web +Web only +yes /m)
    expect((await vivarium(main.home, ['policy', 'template', 'web', 'closed'])).stderr).toContain(
      "no template called 'closed'",
    )
  })

  test('puts a rule before the others, or after them, under a name of its own', async () => {
    const main = await mainThat()
    const WEB = ['--protocol', 'tcp', '--port', '80', '--port', '8000-8999']

    await vivarium(main.home, ['policy', 'allow', 'web', 'example.org', '*.example.org', ...WEB, '--up', '5M'])
    await vivarium(main.home, ['policy', 'deny', 'web', 'any', '--name', 'the rest', '--last'])
    const shown = await vivarium(main.home, ['policy', 'allow', 'web', 'example.org', ...WEB])

    expect(main.policy().network.rules).toMatchObject([
      { name: 'allow example.org tcp 80,8000-8999 2', peers: ['example.org'], upBits: 0 },
      {
        name: 'allow example.org tcp 80,8000-8999', action: 'allow', direction: 'out', protocol: 'tcp',
        peers: ['example.org', '*.example.org'], ports: ['80', '8000-8999'], upBits: 5e6,
      },
      { name: 'the rest', action: 'deny', protocol: 'any', peers: ['any'] },
    ]) // prettier-ignore
    expect(v.parse(SandboxPolicySchema, JSON.parse(shown.stdout))).toEqual(main.policy())

    await vivarium(main.home, ['policy', 'rm', 'web', 'the rest'])
    expect(main.policy().network.rules).toHaveLength(2)
    expect((await vivarium(main.home, ['policy', 'rm', 'web', 'the rest'])).stderr).toContain('no rule called')
  })

  test('is read from a file or from standard input, and checked before it is set', async () => {
    const fault = { path: 'network.rules.0.ports', message: 'The policy is not valid at line 3.', line: 3, column: 5 }
    const good = withTemplate(EMPTY_POLICY, 'open')
    const main = await mainThat({
      'policy.check': (args) =>
        (args as { text: string }).text === policyText(good)
          ? { policy: good, fault: null, warnings: [{ path: 'network.rules.0', message: 'It has no effect.' }] }
          : { policy: null, fault, warnings: [] },
    })
    const file = join(main.home, 'policy.json')
    await writeFile(file, policyText(good))

    const checked = await vivarium(main.home, ['policy', 'check', 'web', file])
    expect(checked).toMatchObject({ status: 0, stderr: 'warning: network.rules.0: It has no effect.\n' })
    expect(main.asked['policy.set']).toBeUndefined()

    expect(await vivarium(main.home, ['policy', 'set', 'web', '-'], 'nonsense')).toMatchObject({
      status: 1,
      stderr: expect.stringContaining(fault.message),
    })
    expect(main.asked['policy.set']).toBeUndefined()

    expect((await vivarium(main.home, ['policy', 'set', 'web', '-'], policyText(good))).status).toBe(0)
    expect(main.policy()).toEqual(good)
    expect((await vivarium(main.home, ['policy', 'show', 'web'])).stdout).toBe(policyText(good))
    expect((await vivarium(main.home, ['policy', 'set', 'web', '/nowhere'])).stderr).toContain('could not be read')
  })

  test('tells what would happen', async () => {
    const main = await mainThat({
      'policy.explain': () => ({ action: 'deny', rule: 'r', index: 0, logged: [], sentence: 'It is denied.' }),
    })

    expect((await vivarium(main.home, ['policy', 'explain', 'web', 'example.org'])).stdout).toBe('It is denied.\n')
    await vivarium(main.home, ['policy', 'explain', 'web', 'domain:ids', '22', '--in'])
    await vivarium(main.home, ['policy', 'explain', 'web', 'host', '--protocol', 'icmp'])

    expect(main.asked['policy.explain']).toEqual([
      { id: 'id-web', direction: 'out', protocol: 'tcp', target: 'example.org', port: 443 },
      { id: 'id-web', direction: 'in', protocol: 'tcp', target: 'domain:ids', port: 22 },
      { id: 'id-web', direction: 'out', protocol: 'icmp', target: 'host', port: 0 },
    ])
    expect((await vivarium(main.home, ['policy', 'explain', 'web', 'host', 'http'])).stderr).toContain(
      "'http' is no port",
    )
  })
})

describe('vivarium network', () => {
  test('shows cards, port forwards and the policy', async () => {
    const { home } = await mainThat()

    const { stdout } = await vivarium(home, ['network', 'web'])

    expect(stdout).toMatch(
      /^1 +gateway +10\.86\.0\.5 +52:54:00:00:00:01 +1\.0 kB \(10 bytes\/s\) +2\.0 MB \(300 kB\/s\)$/m,
    )
    expect(stdout).toMatch(/^2 +lab +10\.87\.0\.2 .* unplugged$/m)
    expect(stdout).toMatch(/^tcp\/127\.0\.0\.1:8080 +80 +failed +The port is taken\.$/m)
    expect(stdout).toContain("Policy: the template 'web'.")
    expect(JSON.parse((await vivarium(home, ['network', 'show', 'web', '--json'])).stdout)).toEqual(network)
  })

  test('connects, plugs and unplugs a card', async () => {
    const { home, asked } = await mainThat()

    await vivarium(home, ['network', 'connect', 'web', 'lab', '--card', '2'])
    await vivarium(home, ['network', 'connect', 'web', 'gateway'])
    await vivarium(home, ['network', 'unplug', 'web'])
    await vivarium(home, ['network', 'plug', 'web', '--card', '2'])

    expect(asked['network.connect']).toEqual([
      { id: 'id-web', nic: 1, mode: 'segment', segment: 'lab', plugged: true },
      { id: 'id-web', nic: 0, mode: 'gateway', plugged: true },
      { id: 'id-web', nic: 0, plugged: false },
      { id: 'id-web', nic: 1, plugged: true },
    ])
  })

  test('forwards ports of the host', async () => {
    const { home, asked } = await mainThat()

    await vivarium(home, ['network', 'forward', 'add', 'web', '8080:80'])
    await vivarium(home, ['network', 'forward', 'rm', 'web', '5353'])
    const wrong = await vivarium(home, ['network', 'forward', 'rm', 'web', '1'])

    expect(asked['network.addForward']).toEqual([
      { id: 'id-web', forward: { protocol: 'tcp', hostAddress: '127.0.0.1', hostPort: 8080, guestPort: 80 } },
    ])
    expect(asked['network.removeForward']).toEqual([{ id: 'id-web', key: 'udp/127.0.0.1:5353' }])
    expect(wrong.stderr).toContain("No port forward is called '1'")
    expect(forwardArgument('0.0.0.0:53:5353/udp')).toEqual({
      protocol: 'udp', hostAddress: '0.0.0.0', hostPort: 53, guestPort: 5353,
    }) // prettier-ignore
    for (const wrong of ['80', '80:', ':80', '1:2:3:4', '80:80/sctp', 'x:1:2'])
      expect(() => forwardArgument(wrong)).toThrow('ports')
  })

  test('lists flows, denials and networks', async () => {
    const { home, asked } = await mainThat()

    const denials = await vivarium(home, ['network', 'denials', 'web'])
    const once = await vivarium(home, ['network', 'allow-once', 'web', '7'])

    expect(denials.stdout).toMatch(
      /^7 .* tcp to example\.org\ufffd\[2J \(93\.184\.216\.34\) port 443 +default deny +3$/m,
    )
    expect(asked['network.allowOnce']).toEqual([{ id: 'id-web', seq: 7 }])
    expect(once.stdout).toBe('allowed once\n')
    expect((await vivarium(home, ['network', 'forget-once', 'web'])).status).toBe(0)
    expect((await vivarium(home, ['network', 'flows', 'web'])).stdout).toMatch(
      /^1 +from ids \(10\.86\.0\.9\) +udp 53 +0 bytes +100 bytes +3 s +denied: No DNS$/m,
    )
    const { stdout } = await vivarium(home, ['network', 'segments'])
    expect(stdout).toMatch(/^gateway +10\.86\.0\.0\/16 +web +1 +10\.86\.0\.5 .* off$/m)
    expect(stdout).toMatch(/^lab +10\.87\.0\.0\/24 +nobody$/m)
  })

  test('follows denials, each told once', async () => {
    let asked = 0
    const { home } = await mainThat({
      'network.denials': () => (asked++ === 0 ? [denial] : [denial, { ...denial, seq: 8, rule: 'No news' }]),
    })
    const child = spawnCommand(home, ['network', 'denials', 'web', '--follow'])
    let seen = ''
    await new Promise<void>((resolve) => {
      child.stdout.on('data', (text: string) => {
        seen += text
        if (seen.includes('No news')) resolve()
      })
    })
    child.kill()
    await ending(child)

    expect(seen.match(/default deny/g)).toHaveLength(1)
    expect(seen).toContain("by 'No news'. No rule allows it. (8)")
  })

  test('mirrors a card', async () => {
    const { home, asked } = await mainThat()

    await vivarium(home, [
      'network',
      'mirror',
      'add',
      'web',
      'ids',
      '--to-card',
      '2',
      '--after-policy',
      '--direction',
      'up',
    ])
    await vivarium(home, ['network', 'mirror', 'rm', 'web'])

    expect(asked['mirrors.add']).toEqual([
      { source: { id: 'id-web', nic: 0 }, target: { id: 'id-ids', nic: 1 }, stage: 'after', direction: 'up' },
    ])
    expect(asked['mirrors.remove']).toEqual([{ mirrorId: 'id-mirror' }])
    expect((await vivarium(home, ['network', 'mirror', 'ls'])).stdout).toMatch(
      /^web, card 1 +ids, card 2 +both ways, before policy +12 +0 +active +id-mirror$/m,
    )
  })

  test('records, and copies the recording into a file', async () => {
    const { home, asked } = await mainThat()
    const file = join(home, 'web.pcapng')

    await vivarium(home, ['network', 'capture', 'start', 'web', '--snap', '128', '--file-size', '10M', '--files', '3'])
    await vivarium(home, ['network', 'capture', 'start', '--segment', 'gateway', '--most', '1G'])
    const neither = await vivarium(home, ['network', 'capture', 'start'])
    const download = await vivarium(home, ['network', 'capture', 'download', 'id-capture', file])
    const again = await vivarium(home, ['network', 'capture', 'download', 'web, card 1', file])
    await vivarium(home, ['network', 'capture', 'stop', 'id-capture'])
    await vivarium(home, ['network', 'capture', 'rm', 'id-capture'])

    expect(asked['captures.start']).toMatchObject([
      { source: { id: 'id-web', nic: 0 }, stage: 'before', snapBytes: 128, fileBytes: 10e6, files: 3 },
      { source: { segment: '' }, totalBytes: 1e9 },
    ])
    expect(neither.stderr).toContain('--segment')
    expect(download.status).toBe(0)
    expect(await readFile(file)).toEqual(CONTENT)
    expect(again.stderr).toContain('--replace')
    expect(asked['captures.stop']).toEqual([{ captureId: 'id-capture' }])
    expect(asked['captures.remove']).toEqual([{ captureId: 'id-capture' }])
    expect((await vivarium(home, ['network', 'capture', 'ls'])).stdout).toMatch(
      /^web, card 1 .* running .* id-capture$/m,
    )
  })

  test.each([
    [['network', 'connect', 'web', 'lab', '--card', '0']],
    [['network', 'forward', 'add', 'web', '80']],
    [['network', 'mirror', 'add', 'web', 'ids', '--direction', 'sideways']],
    [['policy', 'allow', 'web', 'any', '--protocol', 'sctp']],
    [['policy', 'allow', 'web', 'any', '--up', 'fast']],
    [['policy', 'deny', 'web', 'any', '--up', '5M']],
    [['policy', 'allow', 'web']],
  ])('%j is wrong use', async (args) => {
    expect((await vivarium('/nowhere/at/all', args)).status).toBe(2)
  })
})
