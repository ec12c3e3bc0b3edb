import * as v from 'valibot'
import { CALLS } from '../../src-main/contract'

/** The schema of each field of a new domain, as main will check it. */
export const SPEC_FIELDS = CALLS['domains.create'].args.entries.spec.entries

/** The first thing wrong with `value`, in the schema's own words; empty when nothing is. */
export function faultOf(schema: v.GenericSchema, value: unknown): string {
  const result = v.safeParse(schema, value, { abortPipeEarly: true })
  return result.success ? '' : result.issues[0].message
}
