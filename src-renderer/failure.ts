import { VmmError, type FailureView } from '../src-main/contract'

/** Anything thrown, as the failure that is shown to a person. */
export function failureOf(thrown: unknown): FailureView {
  if (thrown instanceof VmmError) {
    const detail = thrown.context['detail']
    return {
      kind: thrown.kind,
      message: thrown.message,
      hint: thrown.hint,
      detail: typeof detail === 'string' ? detail : '',
    }
  }
  const message = thrown instanceof Error ? thrown.message : String(thrown)
  return {
    kind: 'internal',
    message: 'Something in this window went wrong.',
    hint: 'Try again; if it happens again, copy the diagnostics and report it.',
    detail: message,
  }
}

/** What a person pastes into a report. */
export function diagnostics(what: string, failure: FailureView, version: string): string {
  return [
    `Vivarium ${version}`,
    `Time: ${new Date().toISOString()}`,
    `What: ${what}`,
    `Kind: ${failure.kind}`,
    `Message: ${failure.message}`,
    ...(failure.hint ? [`Hint: ${failure.hint}`] : []),
    ...(failure.detail ? ['Detail:', failure.detail] : []),
  ].join('\n')
}
