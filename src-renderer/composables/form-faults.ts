import * as v from 'valibot'

/** The first thing wrong with `value`, in the schema's own words; empty when nothing is. */
export function faultOf(schema: v.GenericSchema, value: unknown): string {
  const result = v.safeParse(schema, value, { abortPipeEarly: true })
  return result.success ? '' : result.issues[0].message
}
