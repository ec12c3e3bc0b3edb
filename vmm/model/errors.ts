/**
 * The kinds a caller may match on. The set is small and stable; the message is for people.
 *
 * - `invalid`: an argument, spec or file is not what it should be
 * - `not-found`: the thing named does not exist (any more)
 * - `state`: the verb is not possible in the domain's present state
 * - `conflict`: somebody else holds the thing (a name, a lock, a port)
 * - `unsupported`: this engine or this host cannot do it
 * - `damaged`: stored data cannot be read
 * - `disk-full`: no room left on the host
 * - `guest`: the guest did not answer or answered with an error
 * - `engine`: the engine or its process failed
 * - `timeout`, `cancelled`: as they say
 * - `denied`: a security check refused
 * - `internal`: a bug in Vivarium
 */
export const FAILURE_KINDS = [
  'invalid',
  'not-found',
  'state',
  'conflict',
  'unsupported',
  'damaged',
  'disk-full',
  'guest',
  'engine',
  'timeout',
  'cancelled',
  'denied',
  'internal',
] as const

export type FailureKind = (typeof FAILURE_KINDS)[number]

/** What crosses the contract instead of an exception: plain data, safe to show. */
export interface Failure {
  kind: FailureKind
  /** What happened and why, one sentence. */
  message: string
  /** What the person can do next; empty when there is nothing. */
  hint: string
  /** For diagnostics: context and causes, not for the first line. */
  detail: string
}

export interface VmmErrorOptions {
  hint?: string
  /** Facts for diagnostics, such as a path, an offset or an exit code. */
  context?: Record<string, unknown>
  cause?: unknown
}

/** The one error type that Vivarium throws on purpose. */
export class VmmError extends Error {
  override readonly name = 'VmmError'
  readonly kind: FailureKind
  readonly hint: string
  readonly context: Record<string, unknown>

  constructor(kind: FailureKind, message: string, options: VmmErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.kind = kind
    this.hint = options.hint ?? ''
    this.context = options.context ?? {}
  }

  /** Rebuilds the error on the far side of a process or contract boundary. */
  static fromFailure(failure: Failure): VmmError {
    return new VmmError(failure.kind, failure.message, {
      hint: failure.hint,
      ...(failure.detail ? { context: { detail: failure.detail } } : {}),
    })
  }
}

const SYSTEM_ERRORS: Record<string, { kind: FailureKind; message: string; hint: string }> = {
  ENOSPC: {
    kind: 'disk-full',
    message: 'The disk is full.',
    hint: 'Free some space on the disk that holds the Vivarium data folder and try again.',
  },
  EDQUOT: {
    kind: 'disk-full',
    message: 'The disk quota is used up.',
    hint: 'Free some space or raise the quota and try again.',
  },
  ENOENT: { kind: 'not-found', message: 'A file is missing.', hint: '' },
  EACCES: {
    kind: 'denied',
    message: 'The file system refused access.',
    hint: 'Check the permissions of the file.',
  },
  EPERM: { kind: 'denied', message: 'The system refused it.', hint: 'Check the permissions of the file.' },
  ENOTDIR: { kind: 'not-found', message: 'A part of the path is not a folder.', hint: 'Check the path.' },
  EISDIR: { kind: 'invalid', message: 'It is a folder.', hint: 'Choose a file.' },
  ENAMETOOLONG: { kind: 'invalid', message: 'The path is too long.', hint: 'Check the path.' },
  ELOOP: { kind: 'invalid', message: 'Its links go in a circle.', hint: 'Check the path.' },
  EIO: { kind: 'damaged', message: 'The disk failed.', hint: 'Check the health of the disk.' },
  EROFS: { kind: 'denied', message: 'The file system is read-only.', hint: '' },
}

/** Turns anything thrown into a `VmmError`; `doing` completes 'Could not …'. */
export function asVmmError(thrown: unknown, doing: string): VmmError {
  if (thrown instanceof VmmError) return thrown
  const code = errorCode(thrown)
  const known = code === undefined ? undefined : SYSTEM_ERRORS[code]
  const path = thrown instanceof Error && 'path' in thrown ? String(thrown.path) : undefined
  const context = { ...(code ? { code } : {}), ...(path ? { path } : {}) }
  if (known) {
    return new VmmError(known.kind, `Could not ${doing}. ${known.message}`, {
      hint: known.hint,
      context,
      cause: thrown,
    })
  }
  const reason = thrown instanceof Error ? thrown.message : String(thrown)
  return new VmmError('internal', `Could not ${doing}: ${reason}`, { context, cause: thrown })
}

export function errorCode(thrown: unknown): string | undefined {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return undefined
  return typeof thrown.code === 'string' ? thrown.code : undefined
}

/** The plain-data form for the contract. */
export function toFailure(thrown: unknown, doing = 'do that'): Failure {
  const error = asVmmError(thrown, doing)
  return { kind: error.kind, message: error.message, hint: error.hint, detail: describe(error) }
}

function describe(error: VmmError): string {
  const facts = Object.entries(error.context).map(([key, value]) => `${key}: ${show(value)}`)
  const causes: string[] = []
  for (let cause = error.cause; cause instanceof Error && causes.length < 5; cause = cause.cause) {
    causes.push(`caused by ${cause.name}: ${cause.message}`)
  }
  return [...facts, ...causes].join('\n').slice(0, 4000)
}

function show(value: unknown): string {
  if (typeof value === 'string') return value
  // JSON has no word for undefined and functions, whatever its type says
  const json = JSON.stringify(value) as string | undefined
  return json ?? 'undefined'
}
