import { VmmError, type FailureKind } from '../model/errors'

interface Known {
  words: RegExp
  kind: FailureKind
  message: string
  hint: string
}

/** What QEMU says when it does not start, and what it means for people. */
const KNOWN: readonly Known[] = [
  {
    words: /Failed to get (shared )?"?\w+"? lock|Is another process using the image/,
    kind: 'conflict',
    message: 'A disk of the domain is in use by another program.',
    hint: 'Close the program that uses it, or shut its machine down.',
  },
  {
    words: /Image is corrupt|qcow2: .*(corrupt|invalid)|Could not read qcow2|not in qcow2 format|L1 table|refcount/i,
    kind: 'damaged',
    message: 'A disk of the domain is damaged.',
    hint: 'Repair the disk in the settings of the domain, or revert to a snapshot.',
  },
  {
    words: /[Cc]annot allocate memory|cannot set up guest memory|No space left on device.*memfd/,
    kind: 'engine',
    message: 'The host has too little memory for the guest.',
    hint: 'Give the domain less memory, or shut others down.',
  },
  {
    words:
      /is not a valid device model name|Device '.*' not found|[Pp]arameter '\w+' does not accept|unsupported machine type|Invalid parameter type '\w+', expected: '(user|tap)|invalid object type/,
    kind: 'unsupported',
    message: "This host's QEMU lacks a part that the domain needs.",
    hint: 'Install a newer or fuller QEMU, or change the hardware of the domain.',
  },
  {
    words: /No space left on device/,
    kind: 'disk-full',
    message: 'The disk of the host is full.',
    hint: 'Free some space on the disk that holds the Vivarium data folder.',
  },
]

/** Why QEMU ended before its guest could run, from what it said. */
export function startFailure(words: string, cause: unknown): VmmError {
  const known = KNOWN.find((each) => each.words.test(words))
  const context = { said: words }
  if (known) return new VmmError(known.kind, known.message, { hint: known.hint, context, cause })
  return new VmmError('engine', `QEMU did not start${words ? `: ${words}` : ' and said nothing.'}`, {
    hint: 'The log of the domain has more; its hardware settings may be at fault.',
    context,
    cause,
  })
}
