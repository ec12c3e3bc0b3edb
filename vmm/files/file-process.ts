import { randomBytes } from 'node:crypto'
import { connectParent } from '../engine/parent-link'
import { serveFiles } from './files-server'

/** Entry point of the file process: all shares, volumes and registries of all domains. It ends with main. */

let receive: (message: unknown) => void = () => undefined
const send = connectParent((message) => receive(message))

serveFiles(
  { send, onMessage: (take) => (receive = take) },
  {
    now: () => performance.now(),
    later: (ms, work) => {
      const timer = setTimeout(work, ms)
      return () => clearTimeout(timer)
    },
    random32: () => randomBytes(4).readUInt32LE(0),
  },
)
