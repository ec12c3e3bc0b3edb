import { cp, mkdir } from 'node:fs/promises'
import path from 'node:path'
import { buildStarter, type StarterImage } from '../../vmm/images/starter'

/** Built once and kept between runs; every test gets a copy of its own. */
const CACHE = path.resolve('.vite/test-starter')

export function testStarter(): Promise<StarterImage> {
  return buildStarter({ cacheFolder: CACHE })
}

/** Puts the built starter image where a Vivarium with this data folder looks for it. */
export async function seedStarter(dataFolder: string): Promise<void> {
  await testStarter()
  const target = path.join(dataFolder, 'cache', 'starter')
  await mkdir(target, { recursive: true, mode: 0o700 })
  await cp(CACHE, target, { recursive: true })
}
