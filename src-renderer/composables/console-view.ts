import type { DomainView } from '../../src-main/contract'
import { recall, remember } from '../bridge'

export type ConsoleView = 'serial' | 'screen'

/** Kinds of images whose systems speak to a screen unless told otherwise. */
const FOR_SCREENS: readonly DomainView['imageKind'][] = ['cdrom', 'disk', 'floppy']

/** What the console of a domain shows: as it was left, else what its image most likely speaks to. */
export function recallConsoleView({ id, imageKind }: DomainView): ConsoleView {
  const usual: ConsoleView = FOR_SCREENS.includes(imageKind) ? 'screen' : 'serial'
  const kept = recall<unknown>(`consoleView.${id}`, usual)
  return kept === 'serial' || kept === 'screen' ? kept : usual
}

/** Whether a picture of the screen tells something: that of a guest that is used over its serial port does not. */
export function showsScreen(domain: DomainView): boolean {
  return domain.screen && recallConsoleView(domain) === 'screen'
}

export function rememberConsoleView(id: string, view: ConsoleView): void {
  remember(`consoleView.${id}`, view)
}
