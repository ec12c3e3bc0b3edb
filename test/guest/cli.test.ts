import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { DomainView } from '../../src-main/contract'
import { connectLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { ending, spawnCommand, vivarium } from '../support/command-line'
import { seedStarter } from '../support/starter'
import { temporaryFolderForFile } from '../support/temporary-folder'

// no main runs here at first: the command starts one for itself, which all of these then share
const home = temporaryFolderForFile()
beforeAll(() => seedStarter(home))
// what a failed test left would keep that main
afterAll(async () => {
  for (const { id } of await domains()) await vivarium(home, ['force-off', id])
})

async function domains(): Promise<DomainView[]> {
  return JSON.parse((await vivarium(home, ['ls', '--json'])).stdout) as DomainView[]
}

/** Waits for a domain in this state, and fails when none comes. */
async function untilDomain(state: string): Promise<void> {
  await expect.poll(async () => (await domains()).map((domain) => domain.state), { timeout: 60_000 }).toContain(state)
}

describe('vivarium run', () => {
  test('streams what the command writes, ends with its status and leaves nothing', async () => {
    const run = await vivarium(home, ['run', '--', 'sh', '-c', 'echo out; echo err >&2; cat; exit 7'], 'from stdin\n')

    expect(run).toEqual({ status: 7, stdout: 'out\nfrom stdin\n', stderr: 'err\n' })
    expect(await domains()).toEqual([])
    expect(JSON.parse((await vivarium(home, ['trash', 'ls', '--json'])).stdout)).toEqual([])
  })

  test('ends with 128 and the signal for a command that one ended', async () => {
    expect((await vivarium(home, ['run', '--', 'sh', '-c', 'kill -9 $$'])).status).toBe(137)
  })

  test('says so when there is no such command', async () => {
    const { status, stderr } = await vivarium(home, ['run', '--', '/nothing/here'])

    expect(status).not.toBe(0)
    expect(stderr).not.toBe('')
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('leaves nothing after %s', async (signal, status) => {
    const child = spawnCommand(home, ['run', '--no-stdin', '--', 'sleep', '600'])
    const ended = ending(child)
    await untilDomain('running')

    child.kill(signal)

    expect((await ended).status).toBe(status)
    expect(await domains()).toEqual([])
  })

  test('leaves nothing after kill -9', async () => {
    const child = spawnCommand(home, ['run', '--no-stdin', '--', 'sleep', '600'])
    const ended = ending(child)
    await untilDomain('running')

    child.kill('SIGKILL')
    await ended

    await expect.poll(domains, { timeout: 15_000 }).toEqual([])
  })
})

describe('a domain by command', () => {
  test('is made, started, used, kept, copied and deleted', async () => {
    const json = async (...args: string[]): Promise<unknown> => {
      const { status, stdout, stderr } = await vivarium(home, [...args, '--json'])
      expect({ args, status, stderr }).toEqual({ args, status: 0, stderr: '' })
      return JSON.parse(stdout)
    }

    expect(await json('new', 'one', '--memory', '96', '--start')).toMatchObject({ name: 'one', state: 'running' })
    expect((await vivarium(home, ['exec', 'one', '--', 'hostname'])).stdout).toBe('one\n')
    expect(await json('pause', 'one')).toMatchObject({ state: 'paused' })
    expect(await json('resume', 'one')).toMatchObject({ state: 'running' })
    expect(await json('snapshot', 'create', 'one', 'first')).toMatchObject({ name: 'first', live: true })
    expect(await json('snapshot', 'rename', 'one', 'first', 'kept')).toMatchObject({ name: 'kept' })
    expect(await json('snapshot', 'ls', 'one')).toMatchObject([{ name: 'kept' }])
    expect(await json('snapshot', 'revert', 'one', 'kept')).toMatchObject({ name: 'one' })
    expect(await json('clone', 'one', 'two')).toMatchObject({ name: 'two' })
    expect(await json('save', 'one')).toMatchObject({ state: 'saved' })
    expect(await json('start', 'one')).toMatchObject({ state: 'running' })
    expect(await json('restart', 'one')).toMatchObject({ state: 'running' })
    await expect.poll(async () => (await vivarium(home, ['exec', 'one', 'true'])).status, { timeout: 60_000 }).toBe(0)
    expect(await json('stop', 'one')).toMatchObject({ state: 'off' })
    expect(await json('rename', 'one', 'uno')).toMatchObject({ name: 'uno' })
    expect(await json('set', 'uno', '--memory', '64', '--notes', 'note')).toMatchObject({
      memoryMiB: 64,
      notes: 'note',
    })
    expect(await json('snapshot', 'rm', 'uno', 'kept')).toBeTypeOf('object')
    expect(await json('logs', 'uno')).toBeInstanceOf(Array)
    expect(await json('task', 'ls')).toBeInstanceOf(Array)
    expect(await json('rm', 'uno')).toMatchObject({ name: 'uno' })
    expect(await json('trash', 'ls')).toMatchObject([{ name: 'uno' }])
    expect(await json('trash', 'restore', 'uno')).toMatchObject({ name: 'uno', state: 'off' })
    await json('rm', 'uno')
    expect((await vivarium(home, ['trash', 'empty'])).stderr).toContain('--yes')
    expect(await json('trash', 'empty', '--yes')).toMatchObject({ deleted: [expect.any(String)] })
    expect((await domains()).map(({ name }) => name)).toEqual(['two'])
    await vivarium(home, ['force-off', 'two'])
    await json('discard', 'two').catch(() => {})
    await json('rm', 'two')
  })
})

describe.skipIf(!existsSync('/usr/bin/script'))('vivarium console (in a terminal made by script)', () => {
  test('shows what was written before, passes keys on, and Ctrl+] leaves', async () => {
    await vivarium(home, ['new', 'console', '--start'])
    const child = spawnInTerminal(['console', 'console'])
    const ended = ending(child)
    let seen = ''
    child.stdout.on('data', (text: string) => (seen += text))

    await expect.poll(() => seen, { timeout: 20_000 }).toContain('Ctrl+] leaves it')
    await sleep(1000)
    child.stdin.write('echo $((40+2))-was-typed\r')
    await expect.poll(() => seen, { timeout: 20_000 }).toContain('42-was-typed')
    child.stdin.write('\x1d')

    expect((await ended).status).toBe(0)
    expect(seen).toContain('Left the console')
    const again = JSON.parse((await vivarium(home, ['console', 'console', '--json'])).stdout) as { text: string }
    expect(again.text).toContain('42-was-typed')
    await vivarium(home, ['force-off', 'console'])
    await vivarium(home, ['rm', 'console'])
  })

  test('ends when the guest does', async () => {
    await vivarium(home, ['new', 'ending', '--start'])
    const child = spawnInTerminal(['console', 'ending'])
    const ended = ending(child)
    await sleep(1500)

    await vivarium(home, ['force-off', 'ending'])

    expect((await ended).stdout).toContain('ending is off')
    await vivarium(home, ['rm', 'ending'])
  })
})

test('the main that the command started ends when nothing is left to do', async () => {
  expect((await domains()).filter(({ state }) => state === 'running')).toEqual([])

  // it waits for ten seconds; asking it sooner would begin them anew
  await sleep(12_000)

  await expect(connectLocal(socketAddress(home))).rejects.toThrow()
})

/** The command with a terminal around it, which takes what is written to its standard input as keys. */
function spawnInTerminal(args: readonly string[]) {
  const line = [process.execPath, 'bin/vivarium.mjs', ...args].join(' ')
  return spawn('script', ['-qec', line, '/dev/null'], { env: { ...process.env, VIVARIUM_HOME: home } })
}
