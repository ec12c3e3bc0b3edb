import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { runProgram } from '../../vmm/images/program'
import { findQemuProgram, howToInstallQemu, requireQemuProgram } from '../../vmm/images/qemu-programs'
import { temporaryFolder } from '../support/temporary-folder'

describe('QEMU in the folder that VIVARIUM_QEMU names', () => {
  let folder = ''
  beforeEach(() => {
    folder = temporaryFolder()
    process.env['VIVARIUM_QEMU'] = folder
  })
  afterEach(() => {
    delete process.env['VIVARIUM_QEMU']
  })

  it('is looked for nowhere else', async () => {
    expect(await findQemuProgram('qemu-img')).toBeNull()
    await expect(requireQemuProgram('qemu-system-x86_64')).rejects.toMatchObject({
      kind: 'unsupported',
      message: expect.stringContaining('qemu-system-x86_64'),
      hint: howToInstallQemu(),
    })
  })

  it.skipIf(process.platform === 'win32')('is found, also by the name that Red Hat gives it', async () => {
    const program = (name: string, mode: number) => {
      writeFileSync(join(folder, name), '#!/bin/sh\n')
      chmodSync(join(folder, name), mode)
    }
    program('qemu-img', 0o644)
    expect(await findQemuProgram('qemu-img'), 'one that cannot be run').toBeNull()
    program('qemu-img', 0o755)
    expect(await findQemuProgram('qemu-img')).toBe(join(folder, 'qemu-img'))
    program('qemu-kvm', 0o755)
    expect(await findQemuProgram('qemu-system-x86_64')).toBe(join(folder, 'qemu-kvm'))
    program('qemu-system-x86_64', 0o755)
    expect(await findQemuProgram('qemu-system-x86_64')).toBe(join(folder, 'qemu-system-x86_64'))
  })

  it('is one sentence away', () => {
    expect(howToInstallQemu()).toMatch(/^Install QEMU .+/)
  })
})

describe.skipIf(process.platform === 'win32')('A program with a scratch file', () => {
  it('runs with its arguments as they are, and its own status', async () => {
    const scratch = join(temporaryFolder(), "it's $HOME; *")
    const words = ['-c', 'printf "%s|" "$@"; echo said >&2; exit 7', 'sh', 'a b', '$x', '"', "'", '']
    expect(await runProgram('sh', words, { scratch })).toEqual({
      status: 7,
      stdout: 'a b|$x|"|\'||',
      stderr: 'said\n',
    })
  })

  it('keeps that file when it ends by itself', async () => {
    const scratch = join(temporaryFolder(), 'kept')
    await runProgram('sh', ['-c', 'echo x > "$1"', 'sh', scratch], { scratch })
    const { stdout } = await runProgram('cat', [scratch])
    expect(stdout).toBe('x\n')
  })

  it('passes its output on as it comes, without a limit', async () => {
    let bytes = 0
    const onStdout = (text: string) => (bytes += text.length)
    const { status } = await runProgram('head', ['-c', '20000000', '/dev/zero'], { onStdout })
    expect({ status, bytes }).toEqual({ status: 0, bytes: 20_000_000 })
  })
})
