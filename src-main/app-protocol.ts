import { protocol } from 'electron'
import { readUiFile } from './ui-files'

export const UI_ORIGIN = 'app://ui'

/** Must be called before Electron is ready. */
export function declareAppProtocol(): void {
  const privileges = { standard: true, secure: true, supportFetchAPI: true }
  protocol.registerSchemesAsPrivileged([{ scheme: 'app', privileges }])
}

/** Serves the built interface from `folder` as app://ui/, and nothing else. */
export function serveAppProtocol(folder: string): void {
  protocol.handle('app', async (request) => {
    const { host, pathname } = new URL(request.url)
    const file = host === 'ui' && request.method === 'GET' ? await readUiFile(folder, pathname) : null
    if (!file) return new Response('There is nothing here.', { status: 404 })
    return new Response(file.body, { headers: file.headers })
  })
}
