// Remembers what was installed and built, so that a second start does neither.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './root.mjs'

const INSTALLED = join(root, 'node_modules/.vivarium-installed')
const BUILT = join(root, '.vite/built')
const SOURCES = ['src-main', 'src-renderer', 'vmm', 'storage']
const CONFIGS = [
  'package-lock.json',
  'tsconfig.json',
  'vite.main.config.mts',
  'vite.preload.config.mts',
  'vite.renderer.config.mts',
]
const PRODUCTS = ['.vite/build/main.js', '.vite/build/preload.js', '.vite/renderer/index.html']

export const isInstalled = () => read(INSTALLED) === lockfileHash()
export const markInstalled = () => write(INSTALLED, lockfileHash())
export const isBuilt = () => read(BUILT) === sourcesHash() && PRODUCTS.every((file) => existsSync(join(root, file)))
export const markBuilt = (hash) => write(BUILT, hash)

function lockfileHash() {
  return createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
}

/** Names, sizes and times of all sources: a changed, new or deleted file changes it. */
export function sourcesHash() {
  const hash = createHash('sha256')
  for (const file of CONFIGS) addFile(hash, join(root, file))
  for (const folder of SOURCES) addFolder(hash, join(root, folder))
  return hash.digest('hex')
}

function addFolder(hash, folder) {
  if (!existsSync(folder)) return
  const entries = readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1))
  for (const entry of entries) {
    const path = join(folder, entry.name)
    if (entry.isDirectory()) addFolder(hash, path)
    else addFile(hash, path)
  }
}

function addFile(hash, path) {
  const { size, mtimeMs } = statSync(path)
  hash.update(`${path}\0${size}\0${mtimeMs}\n`)
}

const read = (file) => (existsSync(file) ? readFileSync(file, 'utf8') : '')

function write(file, text) {
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, text)
}
