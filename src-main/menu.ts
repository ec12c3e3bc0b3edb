import { app, Menu, type MenuItemConstructorOptions } from 'electron'

/**
 * The standard roles and no more. Off macOS nothing here takes a key from the page: what is typed into a guest's
 * console (Ctrl+W, Ctrl+Q, Ctrl+C…) belongs to the guest, and Chromium itself does the editing keys in text fields.
 */
export function applicationMenu(): Menu {
  const mac = process.platform === 'darwin'
  const template: MenuItemConstructorOptions[] = [
    { role: 'fileMenu', submenu: [quiet({ role: mac ? 'close' : 'quit' })] },
    { role: 'editMenu', submenu: EDIT_ROLES.map((role) => quiet({ role })) },
    { role: 'viewMenu', submenu: viewItems().map(quiet) },
  ]
  if (mac) template.unshift({ role: 'appMenu' })
  if (mac) template.push({ role: 'windowMenu' })
  return Menu.buildFromTemplate(template)
}

const EDIT_ROLES = ['undo', 'redo', 'cut', 'copy', 'paste', 'selectAll'] as const

function viewItems(): MenuItemConstructorOptions[] {
  const zoom: MenuItemConstructorOptions[] = [{ role: 'zoomIn' }, { role: 'zoomOut' }, { role: 'resetZoom' }]
  const items: MenuItemConstructorOptions[] = [...zoom, { type: 'separator' }, { role: 'togglefullscreen' }]
  return app.isPackaged ? items : [...items, { role: 'toggleDevTools' }]
}

/** Shows the usual key beside the item; takes it only on macOS, where such keys never reach a terminal. */
function quiet(item: MenuItemConstructorOptions): MenuItemConstructorOptions {
  return process.platform === 'darwin' || ZOOM.has(String(item.role)) ? item : { ...item, registerAccelerator: false }
}

const ZOOM = new Set(['zoomIn', 'zoomOut', 'resetZoom', 'togglefullscreen'])
