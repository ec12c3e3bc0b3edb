import { contextBridge, ipcRenderer, webUtils } from 'electron'

/** What the page finds as `window.vivarium`: contract messages both ways, and the path of a dropped file. */
const waiting: unknown[] = []
let receive: ((message: unknown) => void) | null = null

// kept until the page listens
ipcRenderer.on('contract', (_event, message: unknown) => {
  if (receive) receive(message)
  else waiting.push(message)
})

contextBridge.exposeInMainWorld('vivarium', {
  shell: 'electron',
  post: (message: unknown): void => ipcRenderer.send('contract', message),
  onMessage: (listener: (message: unknown) => void): void => {
    receive = listener
    for (const message of waiting.splice(0)) listener(message)
  },
  /** The host path of a file the person chose or dropped; '' when it has none. */
  pathOf: (file: File & { path?: string }): string =>
    // webUtils came with Electron 29, file.path went with 32
    (webUtils as typeof webUtils | undefined)?.getPathForFile(file) ?? file.path ?? '',
})
