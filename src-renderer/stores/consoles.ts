import { defineStore } from 'pinia'
import type { DomainState } from '../../src-main/contract'
import { createConsoleSession, type ConsoleSession } from '../composables/console-session'
import { clock } from '../format'
import { useApp } from './app'
import { useDomains } from './domains'

/** Terminals kept alive; the one unused longest gives way. Main keeps the last 1 MiB of each console anyway. */
const KEPT_SESSIONS = 8
const AT_REST: readonly DomainState[] = ['off', 'saved', 'crashed']

/** The terminals of domains whose console was opened. */
export const useConsoles = defineStore('consoles', () => {
  const app = useApp()
  const domains = useDomains()
  const sessions = new Map<string, ConsoleSession>()
  const states = new Map<string, DomainState>()

  app.on('domains', ({ changed, removed }) => {
    for (const id of removed) close(id)
    for (const { id, state } of changed) {
      const session = sessions.get(id)
      if (!session) continue
      const before = states.get(id)
      states.set(id, state)
      if (before && AT_REST.includes(before) && !AT_REST.includes(state)) {
        session.begun(`started ${clock(Date.now())}`)
      }
    }
  })

  function open(id: string): ConsoleSession {
    const session = sessions.get(id) ?? createConsoleSession(id, app.call)
    // last in the map is last used
    sessions.delete(id)
    sessions.set(id, session)
    states.set(id, domains.get(id)?.state ?? 'off')
    const oldest = sessions.keys().next().value
    if (sessions.size > KEPT_SESSIONS && oldest !== undefined) close(oldest)
    return session
  }

  function close(id: string): void {
    sessions.get(id)?.dispose()
    sessions.delete(id)
    states.delete(id)
  }

  return { open, close }
})
