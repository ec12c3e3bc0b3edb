import { safeText, type PolicyView } from '../contract'
import type { CliSession } from './session'

/** Prints the text, and beside it what is worth knowing of it. */
export function showPolicy(cli: CliSession, view: PolicyView): void {
  cli.print(view, safeLines(view.text))
  tellWarnings(view.warnings)
  for (const { name } of view.once) process.stderr.write(`For this run only, ${safeText(name)}.\n`)
}

/** Warnings are for people, also beside JSON, which has them too. */
export function tellWarnings(warnings: PolicyView['warnings']): void {
  for (const { path, message } of warnings) process.stderr.write(`warning: ${path}: ${safeText(message)}\n`)
}

function safeLines(text: string): string {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => safeText(line, 4000))
    .join('\n')
}
