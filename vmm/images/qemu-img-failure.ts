import { VmmError, type FailureKind } from '../model/errors'
import { safeText } from '../model/safe-text'
import type { ProgramOutcome } from './program'

interface Known {
  words: RegExp
  kind: FailureKind
  message: string
  hint: string
}

/** What qemu-img says (it runs in the C locale) and what it means for people. */
const KNOWN: readonly Known[] = [
  { words: /No space left on device/, kind: 'disk-full', message: 'The disk is full.', hint: 'Free some space.' },
  { words: /Disk quota exceeded/, kind: 'disk-full', message: 'The disk quota is used up.', hint: 'Free some space.' },
  {
    words: /File too large/,
    kind: 'unsupported',
    message: 'The file system of the target takes no file of that size.',
    hint: 'Choose a folder on another file system.',
  },
  {
    words: /Permission denied|Operation not permitted|Read-only file system/,
    kind: 'denied',
    message: 'The file system refused access.',
    hint: 'Check the permissions of the file and its folder.',
  },
  {
    words: /Failed to get .* lock/,
    kind: 'conflict',
    message: 'Another program uses the disk.',
    hint: 'Close the program that uses it, or shut its machine down.',
  },
  {
    words: /No such file or directory|Not a directory/,
    kind: 'not-found',
    message: 'A file is missing.',
    hint: 'Check the path.',
  },
]

/** The `VmmError` for a run of qemu-img that failed; `doing` completes 'Could not …'. */
export function qemuImgFailure({ status, stderr }: ProgramOutcome, doing: string): VmmError {
  const said = withoutNames(stderr)
  const known = KNOWN.find(({ words }) => words.test(said))
  const context = { status, stderr: safeText(stderr, 2000) }
  if (known) return new VmmError(known.kind, `Could not ${doing}. ${known.message}`, { hint: known.hint, context })
  if (status === null || status > 128) {
    return new VmmError('engine', `Could not ${doing}: qemu-img was ended from outside or crashed.`, {
      hint: 'Try again; where it crashes again, the file may be damaged or made to do that.',
      context,
    })
  }
  const reason = said.trim().split('\n').at(-1) ?? ''
  return new VmmError('damaged', `Could not ${doing}: ${safeText(reason, 300) || 'qemu-img gave no reason.'}`, {
    hint: 'Copy or download the file again and compare its checksum.',
    context,
  })
}

/** Without the descriptions that stand for file names, which Vivarium made and nobody recognizes. */
function withoutNames(stderr: string): string {
  return stderr.replace(/^qemu-img: (Could not open )?('json:.*\}'(: |$))?/gm, '')
}
