import * as v from 'valibot'
import { hasUnsafeText } from './safe-text'

export const NAME_LIMIT = 100

/** A name that a person gives: 1 to 100 characters, no controls, no reordering marks, not padded. */
export const NameSchema = v.pipe(
  v.string('A name is text.'),
  v.check((name) => name.length <= NAME_LIMIT, `A name has at most ${NAME_LIMIT} characters.`),
  v.check((name) => !hasUnsafeText(name), 'A name cannot hold control or text-direction characters.'),
  v.check((name) => name.trim() === name && name !== '', 'A name cannot be empty or begin or end with a space.'),
)
