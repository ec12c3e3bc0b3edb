/// <reference types="vite/client" />

/** For tools that cannot read single-file components; vue-tsc reads the real types. */
declare module '*.vue' {
  import type { DefineComponent } from 'vue'
  const component: DefineComponent
  export default component
}

/** noVNC's own package has no types, and those made for it know it by the path it had before version 1.6. */
declare module '@novnc/novnc' {
  export { default } from '@novnc/novnc/lib/rfb'
}
