import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { build } from 'vite'
import { expect } from 'vitest'

/** Makes one script of a program of this folder, that `writeAndDie` can run; returns its file in `folder`. */
export async function buildWriter(program: string, folder: string): Promise<string> {
  await build({
    configFile: false,
    logLevel: 'silent',
    ssr: { noExternal: true },
    build: {
      ssr: join(__dirname, program),
      outDir: folder,
      rolldownOptions: { output: { format: 'cjs', entryFileNames: 'writer.cjs' } },
    },
  })
  return join(folder, 'writer.cjs')
}

/** Runs the writer until it is killed, some time after it said that it is ready; the numbers it had said by then. */
export async function writeAndDie(writer: string, words: readonly string[], lifeMs: number): Promise<number[]> {
  const child = spawn(process.execPath, [writer, ...words], { stdio: ['ignore', 'pipe', 'inherit'] })
  const said: number[] = []
  const lines = createInterface(child.stdout)
  lines.on('line', (line) => {
    if (line === 'ready') setTimeout(() => child.kill('SIGKILL'), lifeMs)
    else said.push(Number(line))
  })
  const read = new Promise((resolve) => lines.once('close', resolve))
  const code = await new Promise((resolve) => child.once('close', resolve))
  await read
  expect(code, 'the writer does not end by itself').toBeNull()
  return said
}
