import { safeStorage } from 'electron'
import type { Keychain } from './services/keys'

/** What Electron before 45 had instead of its asynchronous calls. */
interface OlderStorage {
  isEncryptionAvailable(): boolean
  encryptString(text: string): Buffer
  decryptString(bytes: Buffer): string
}
type Current = 'isAsyncEncryptionAvailable' | 'encryptStringAsync' | 'decryptStringAsync' | 'getSelectedStorageBackend'
type Storage = Partial<Pick<typeof safeStorage, Current>> & OlderStorage

/** What Electron's safeStorage seals with the system's keychain: Keychain, DPAPI, or a secret service on Linux. */
export function systemKeychain(): Keychain {
  const storage = safeStorage as unknown as Storage
  return {
    name: process.platform === 'darwin' ? 'Keychain' : process.platform === 'win32' ? 'Windows' : 'secret service',
    trouble: async () => {
      const usable = (await storage.isAsyncEncryptionAvailable?.()) ?? storage.isEncryptionAvailable()
      if (!usable) return 'The keychain of this system cannot be used.'
      // without a secret service Chromium seals with a password that everybody knows
      const backend = process.platform === 'linux' ? (storage.getSelectedStorageBackend?.() ?? 'unknown') : ''
      return backend === 'basic_text' || backend === 'unknown' ? 'No secret service runs in this session.' : ''
    },
    protect: async (text) => (await storage.encryptStringAsync?.(text)) ?? storage.encryptString(text),
    reveal: async (bytes) => {
      const sealed = Buffer.from(bytes)
      const opened = await storage.decryptStringAsync?.(sealed)
      return opened?.result ?? storage.decryptString(sealed)
    },
  }
}
