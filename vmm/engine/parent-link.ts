/** How a child process and main reach each other: by Electron's parentPort in a utility process, by Node's own channel in a fork. */
interface ParentPort {
  on(event: 'message', receive: (event: { data: unknown }) => void): void
  postMessage(message: unknown): void
}

/** Calls `receive` for each message of main, and returns what sends one to it. The process ends with main. */
export function connectParent(receive: (message: unknown) => void): (message: unknown) => void {
  const port = (process as unknown as { parentPort?: ParentPort }).parentPort
  if (port) {
    port.on('message', (event) => receive(event.data))
    return (message) => port.postMessage(message)
  }
  process.on('message', (message) => receive(message))
  process.on('disconnect', () => process.exit(0))
  return (message) => {
    if (process.connected) process.send?.(message)
  }
}
