import { builtinModules } from 'node:module'
import { defineConfig } from 'vite'

const entries = {
  main: 'src-main/main.ts',
  headless: 'src-main/headless.ts',
  cli: 'src-main/cli.ts',
  guest: 'vmm/engine/embedded-guest.ts',
  network: 'vmm/net/network-worker.ts',
  files: 'vmm/files/file-process.ts',
}

/** What Node and Electron run: the application, its headless twin, the CLI, the guest process, the file process and the network's thread. */
export default defineConfig({
  build: {
    outDir: '.vite/build',
    // the preload build writes to the same folder
    emptyOutDir: false,
    target: 'node18',
    minify: false,
    sourcemap: false,
    reportCompressedSize: false,
    // the licences of what is bundled, as those ask
    license: { fileName: 'NOTICES.md' },
    lib: { entry: entries, formats: ['cjs'] },
    rolldownOptions: {
      // v86 is bundled: as an ES module it could not be loaded from inside the packaged application's archive
      external: ['electron', 'sqlite3', /^node:/, ...builtinModules],
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunk-[name].js' },
    },
  },
  // a package's Node build, never its browser build
  resolve: { conditions: ['node'], mainFields: ['module', 'main'] },
})
