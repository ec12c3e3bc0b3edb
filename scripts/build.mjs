// Builds everything that runs into .vite/: `node scripts/build.mjs [--if-needed]`.
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { root } from './root.mjs'
import { isBuilt, markBuilt, sourcesHash } from './stamps.mjs'

const CONFIGS = ['vite.main.config.mts', 'vite.preload.config.mts', 'vite.renderer.config.mts']

/** Runs the three builds; throws when one fails. */
export async function build() {
  const started = Date.now()
  // taken first: what changes during the build is not in it
  const sources = sourcesHash()
  process.chdir(root)
  // imported here: this file must load before the packages are installed
  const vite = await import('vite')
  for (const configFile of CONFIGS) {
    if (configFile.includes('renderer') && !existsSync(join(root, 'src-renderer/index.html'))) continue
    await vite.build({ configFile, logLevel: 'warn', mode: 'production' })
  }
  markBuilt(sources)
  console.log(`Built in ${((Date.now() - started) / 1000).toFixed(1)} s.`)
}

/** Builds when a source is newer than the last build, or gone. */
export async function buildIfNeeded() {
  if (!isBuilt()) await build()
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  await (process.argv.includes('--if-needed') ? buildIfNeeded() : build())
}
