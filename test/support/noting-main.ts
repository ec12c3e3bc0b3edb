import * as v from 'valibot'
import { onTestFinished } from 'vitest'
import { CALLS, type CallName } from '../../src-main/contract'
import { serveLocal } from '../../src-main/local-socket'
import { socketAddress } from '../../src-main/socket-address'
import { scriptedServices } from './scripted-services'
import { temporaryFolder } from './temporary-folder'

/** A running main that answers from `handlers`; what it is asked is checked against the contract, and kept. */
export async function notingMain(handlers: Record<string, (args: unknown) => unknown>) {
  const home = temporaryFolder()
  const asked: Record<string, unknown[]> = {}
  const noting = Object.entries(handlers).map(([name, answer]) => [
    name,
    (args: unknown) => {
      const checked = v.parse(CALLS[name as CallName].args, args)
      ;(asked[name] ??= []).push(checked)
      return answer(checked)
    },
  ])
  const scripted = scriptedServices(Object.fromEntries(noting) as typeof handlers)
  onTestFinished(await serveLocal(scripted.services, socketAddress(home)))
  return { home, asked }
}
