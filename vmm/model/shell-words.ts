import { safeText } from './safe-text'

/** Characters that no POSIX shell takes for anything but themselves. */
const PLAIN = /^[\w@%+=:,./-]+$/

/** The words of a command as one line that a POSIX shell would take apart into them again: to read, not to run here. */
export function shellLine(words: readonly string[]): string {
  return words.map((word) => shellWord(safeText(word, Infinity))).join(' ')
}

function shellWord(word: string): string {
  return PLAIN.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`
}
