import { join } from 'node:path'

/** Where the build put what runs. Main, its chunks and the CLI all lie in one folder beside the interface's. */
export const GUEST_ENTRY = join(__dirname, 'guest.js')
export const FILES_ENTRY = join(__dirname, 'files.js')
export const NETWORK_ENTRY = join(__dirname, 'network.js')
export const HEADLESS_ENTRY = join(__dirname, 'headless.js')
export const PRELOAD_ENTRY = join(__dirname, 'preload.js')
export const UI_FOLDER = join(__dirname, '..', 'renderer')
