import { VmmError } from '../../src-main/contract'
import type { Connection, ConnectionListener } from '../../src-renderer/connection'

/** A connection whose answers the test gives. */
export function scriptedConnection(
  answers: Record<string, (args: never) => unknown>,
): (listener: ConnectionListener) => Connection {
  return (listener) => {
    listener.onStatus({ phase: 'open' })
    return {
      call: async (name: string, args: unknown) => {
        const answer = answers[name]
        if (!answer) throw new VmmError('not-found', `no ${name}`)
        return answer(args as never) as never
      },
      retryNow() {},
    } as Connection
  }
}
