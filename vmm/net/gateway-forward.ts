import { errorCode, VmmError } from '../model/errors'
import type { Forward } from '../model/network'

/** A port of the host that leads to a guest. */
export interface OpenForward {
  readonly forward: Forward
  /** Stops listening and ends what came through it. */
  close(): Promise<void>
}

/** Why a port of the host cannot be listened at, for a person. */
export function forwardError(thrown: unknown, { protocol, hostAddress, hostPort }: Forward): VmmError {
  const port = `${protocol.toUpperCase()} port ${hostPort}`
  const options = (hint: string) => ({ hint, context: { hostAddress, hostPort }, cause: thrown })
  switch (errorCode(thrown)) {
    case 'EADDRINUSE':
      return new VmmError(
        'conflict',
        `${port} of this host (${hostAddress}) is in use.`,
        options('Choose another host port, or end the program or the forward that holds it.'),
      )
    case 'EACCES':
      return new VmmError(
        'denied',
        `This host does not let Vivarium listen at ${port}.`,
        options('Ports below 1024 are often reserved for the system: choose a higher host port, such as 8080.'),
      )
    case 'EADDRNOTAVAIL':
      return new VmmError(
        'invalid',
        `${hostAddress} is no address of this host.`,
        options('Use 127.0.0.1 for this host alone, or 0.0.0.0 for everybody who can reach it.'),
      )
    default: {
      const reason = thrown instanceof Error ? thrown.message : String(thrown)
      return new VmmError('internal', `Could not listen at ${port} of this host: ${reason}`, options(''))
    }
  }
}
