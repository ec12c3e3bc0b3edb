import * as v from 'valibot'
import { IdSchema } from '../../vmm/model/id'

/** What the declarations of calls are made of. */

/** Longest time a waiting call is held before it answers with nothing new, milliseconds. */
export const WAIT_LIMIT_MS = 20_000

export const nothing = v.strictObject({})
export const byDomain = v.strictObject({ id: IdSchema })
export const done = v.object({})
export const waitMs = v.optional(v.pipe(v.number(), v.minValue(0), v.maxValue(WAIT_LIMIT_MS)), 0)

export function call<A extends v.GenericSchema, R extends v.GenericSchema>(args: A, result: R): { args: A; result: R } {
  return { args, result }
}
