import { safeStorage } from 'electron'
import type { Keychain } from './services/keys'

/** What Electron's safeStorage seals with the system's keychain: Keychain, DPAPI, or a secret service on Linux. */
export function systemKeychain(): Keychain {
  return {
    name: process.platform === 'darwin' ? 'Keychain' : process.platform === 'win32' ? 'Windows' : 'secret service',
    trouble: () => {
      if (!safeStorage.isEncryptionAvailable()) return 'The keychain of this system cannot be used.'
      // without a secret service Chromium seals with a password that everybody knows
      const backend = backendName()
      return backend === 'basic_text' || backend === 'unknown' ? 'No secret service runs in this session.' : ''
    },
    protect: (text) => safeStorage.encryptString(text),
    reveal: (bytes) => safeStorage.decryptString(Buffer.from(bytes)),
  }
}

function backendName(): string {
  if (process.platform !== 'linux') return ''
  // Electron has it since 27
  const { getSelectedStorageBackend } = safeStorage as Partial<Pick<typeof safeStorage, 'getSelectedStorageBackend'>>
  return getSelectedStorageBackend?.call(safeStorage) ?? 'unknown'
}
