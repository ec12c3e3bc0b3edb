// Tells what is installed and built already, so that a second start does neither.
import { createHash } from 'node:crypto'
import { existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { root } from './root.mjs'

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

/**
 * Whether node_modules holds what the lockfile says, by npm's own record of it: whoever ran npm, and whatever else
 * touched the lockfile. npm writes that record last, so an install that broke off does not count.
 */
export function isInstalled() {
  const record = join(root, 'node_modules/.package-lock.json')
  if (!existsSync(record)) return false
  const installed = packagesOf(record)
  return Object.entries(packagesOf(join(root, 'package-lock.json'))).every(([path, { version, optional }]) => {
    // '' is this package itself; optional ones are for other platforms
    if (path === '') return true
    return path in installed ? installed[path].version === version : optional === true
  })
}

export const isBuilt = () => read(BUILT) === sourcesHash() && PRODUCTS.every((file) => existsSync(join(root, file)))
export const markBuilt = (hash) => write(BUILT, hash)

const packagesOf = (lockfile) => JSON.parse(readFileSync(lockfile, 'utf8')).packages

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
