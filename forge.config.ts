import { AutoUnpackNativesPlugin } from '@electron-forge/plugin-auto-unpack-natives'
import { FusesPlugin } from '@electron-forge/plugin-fuses'
import { MakerZIP } from '@electron-forge/maker-zip'
import type { ForgeConfig } from '@electron-forge/shared-types'
import { FuseV1Options, FuseVersion } from '@electron/fuses'

/** All that goes into the application: files, and folders with what is in them. Vite has bundled the rest. */
const SHIPPED = [
  '/package.json',
  '/LICENSE',
  '/.vite/build',
  '/.vite/renderer',
  '/node_modules/bindings',
  '/node_modules/file-uri-to-path',
  '/node_modules/sqlite3/package.json',
  '/node_modules/sqlite3/LICENSE',
  '/node_modules/sqlite3/lib',
  '/node_modules/sqlite3/build/Release/node_sqlite3.node',
  '/node_modules/v86/package.json',
  '/node_modules/v86/LICENSE',
  '/node_modules/v86/build/v86.wasm',
  '/node_modules/v86/build/v86-fallback.wasm',
]

/** Whether `path` is shipped, or lies on the way to something that is. */
function isShipped(path: string): boolean {
  return SHIPPED.some((each) => each === path || path.startsWith(`${each}/`) || each.startsWith(`${path}/`))
}

const electronZipDir = process.env['ELECTRON_ZIP_DIR']

const config: ForgeConfig = {
  outDir: process.env['VIVARIUM_PACKAGE_FOLDER'] ?? 'out',
  packagerConfig: {
    name: 'Vivarium',
    executableName: 'vivarium',
    appBundleId: 'org.vivarium.app',
    asar: true,
    // the list above is complete
    prune: false,
    ignore: (path) => !isShipped(path),
    // where the network has no Electron: a folder with its zip
    ...(electronZipDir ? { electronZipDir } : {}),
  },
  // sqlite3's one binary serves Node and Electron alike
  rebuildConfig: { onlyModules: [] },
  makers: [new MakerZIP({})],
  plugins: [
    new AutoUnpackNativesPlugin({}),
    new FusesPlugin({
      version: FuseVersion.V1,
      [FuseV1Options.RunAsNode]: false,
      [FuseV1Options.EnableNodeOptionsEnvironmentVariable]: false,
      [FuseV1Options.EnableNodeCliInspectArguments]: false,
      [FuseV1Options.EnableCookieEncryption]: true,
      [FuseV1Options.EnableEmbeddedAsarIntegrityValidation]: true,
      [FuseV1Options.OnlyLoadAppFromAsar]: true,
    }),
  ],
}

export default config
