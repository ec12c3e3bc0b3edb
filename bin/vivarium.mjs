#!/usr/bin/env node
// Launches the built CLI; it may be called from any folder and before anything was installed.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'

const [major, minor] = process.versions.node.split('.').map(Number)
if (major < 20 || (major === 20 && minor < 19)) {
  console.error(
    `Vivarium needs Node 20.19 or newer; this is ${process.version}.\nInstall a current Node and try again.`,
  )
  process.exit(1)
}

const cli = fileURLToPath(new URL('../.vite/build/cli.js', import.meta.url))
if (!existsSync(cli)) {
  const folder = fileURLToPath(new URL('..', import.meta.url))
  console.error(`Vivarium is not built yet.\nRun 'npm start' once in ${folder}, or 'npm ci' and 'npm run build'.`)
  process.exit(1)
}
createRequire(import.meta.url)(cli)
