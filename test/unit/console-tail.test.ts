import { writeFile } from 'node:fs/promises'
import path from 'node:path'
import { expect, test } from 'vitest'
import { replayConsole } from '../../src-main/services/console-tail'
import { Scrollback } from '../../vmm/machine/scrollback'
import { temporaryFolder } from '../support/temporary-folder'

test('a kept console is shown again without the questions that programs asked the terminal', async () => {
  const file = path.join(temporaryFolder(), 'console.tail')
  const questions = '\x1b[6n\x1b[c\x1b[>c\x1b[5n\x1b[?6n\x1b[?2026$p\x1b[>q\x1b]11;?\x07\x1b]4;1;?\x1b\\\x1bP$qm\x1b\\'
  await writeFile(file, `red \x1b[31mtext\x1b[0m # ${questions}end`)
  const scrollback = new Scrollback()

  await replayConsole(file, scrollback)

  expect(Buffer.from(scrollback.read(0, 1000).bytes).toString()).toBe('red \x1b[31mtext\x1b[0m # end')
})
