// Builds everything that runs into .vite/: `node scripts/build.mjs [--if-needed]`.
import { existsSync, readdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './root.mjs'
import { isBuilt, markBuilt, sourcesHash } from './stamps.mjs'

const CONFIGS = ['vite.main.config.mts', 'vite.preload.config.mts', 'vite.renderer.config.mts']
const OUTPUT = join(root, '.vite/build')

/** Runs the three builds; ends with what is wrong when one fails. */
export async function build() {
  const started = Date.now()
  // taken first: what changes during the build is not in it
  const sources = sourcesHash()
  process.chdir(root)
  // imported here: this file must load before the packages are installed
  const vite = await import('vite')
  try {
    removeOldChunks()
    for (const configFile of CONFIGS) await vite.build({ configFile, logLevel: 'warn', mode: 'production' })
  } catch (error) {
    console.error(`The build failed. ${error.message}`)
    process.exit(1)
  }
  markBuilt(sources)
  console.log(`Built in ${((Date.now() - started) / 1000).toFixed(1)} s.`)
}

/** What main's build split off last time; the build folder itself is not emptied, two builds share it. */
function removeOldChunks() {
  if (!existsSync(OUTPUT)) return
  for (const name of readdirSync(OUTPUT)) if (name.startsWith('chunk-')) rmSync(join(OUTPUT, name))
}

/** Builds when a source is newer than the last build, or gone. */
export async function buildIfNeeded() {
  if (!isBuilt()) await build()
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await (process.argv.includes('--if-needed') ? buildIfNeeded() : build())
}
