import { foundation } from './0001-foundation'
import { hardware } from './0002-hardware'
import { networks } from './0003-networks'
import { sealing } from './0004-sealing'
import { volumes } from './0005-volumes'

/** In order; the database's user_version says how many have run. A released one is never edited. */
export const MIGRATIONS: readonly (readonly string[])[] = [foundation, hardware, networks, sealing, volumes]
