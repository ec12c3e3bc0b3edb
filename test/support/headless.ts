import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'

/** The built headless main on the data folder `home`; it is ended when the test ends. */
export async function spawnHeadless(home: string): Promise<{ url: string }> {
  const child = spawn(process.execPath, [resolve('.vite/build/headless.js')], {
    env: { ...process.env, VIVARIUM_HOME: home },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const gone = once(child, 'exit')
  onTestFinished(async () => {
    child.kill('SIGTERM')
    await gone
  })
  for await (const line of createInterface(child.stdout)) {
    const url = /http:\/\/\S+/.exec(line)?.[0]
    if (url) return { url }
  }
  throw new Error('the headless main ended without telling its URL')
}
