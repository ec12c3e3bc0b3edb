import * as v from 'valibot'

/** Ids of domains, images, snapshots: they are parts of file names. */
export const IdSchema = v.pipe(v.string(), v.regex(/^[a-z0-9-]{1,64}$/, 'An id has only a-z, 0-9 and -.'))
