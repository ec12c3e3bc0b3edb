import vue from '@vitejs/plugin-vue'
import { defineConfig } from 'vite'

/** The interface: one build for the window and for the browser. */
export default defineConfig({
  root: 'src-renderer',
  base: './',
  plugins: [vue()],
  build: {
    outDir: '../.vite/renderer',
    emptyOutDir: true,
    target: 'chrome114',
    reportCompressedSize: false,
    // the licences of what is bundled, as those ask
    license: { fileName: 'NOTICES.md' },
    chunkSizeWarningLimit: 1500,
    // the content security policy allows fonts and images from 'self' only
    assetsInlineLimit: 0,
  },
})
