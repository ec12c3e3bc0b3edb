import type { Terminal } from '@xterm/xterm'

/** Questions that a terminal answers: state, attributes, modes, version, settings and colours. */
const CSI_QUESTIONS = [
  { final: 'n' },
  { prefix: '?', final: 'n' },
  { final: 'c' },
  { prefix: '>', final: 'c' },
  { prefix: '=', final: 'c' },
  { intermediates: '$', final: 'p' },
  { prefix: '?', intermediates: '$', final: 'p' },
  { prefix: '>', final: 'q' },
  { prefix: '?', final: 'u' },
  { final: 't' },
]
const COLOUR_QUESTIONS = [4, 10, 11, 12]

/**
 * Shows output that is history. Whoever asked the terminal something in it has long stopped listening: an answer now
 * would be typed into whatever runs there today.
 */
export function createReplay(terminal: Terminal) {
  let replaying = false
  for (const question of CSI_QUESTIONS) terminal.parser.registerCsiHandler(question, () => replaying)
  terminal.parser.registerDcsHandler({ intermediates: '$', final: 'q' }, () => replaying)
  terminal.parser.registerDcsHandler({ intermediates: '+', final: 'q' }, () => replaying)
  for (const code of COLOUR_QUESTIONS) {
    terminal.parser.registerOscHandler(code, (text) => replaying && text.includes('?'))
  }

  return async (show: () => Promise<void>): Promise<void> => {
    replaying = true
    try {
      await show()
    } finally {
      replaying = false
    }
  }
}
