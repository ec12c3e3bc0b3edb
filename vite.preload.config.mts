import { defineConfig } from 'vite'

/** Alone: a sandboxed preload cannot require a chunk that it would share with another entry. */
export default defineConfig({
  build: {
    outDir: '.vite/build',
    emptyOutDir: false,
    target: 'chrome114',
    minify: false,
    reportCompressedSize: false,
    lib: { entry: { preload: 'src-main/preload.ts' }, formats: ['cjs'] },
    rolldownOptions: { external: ['electron'], output: { entryFileNames: '[name].js' } },
  },
})
