/** A key as noVNC sends it: X11 keysym, and the place on the keyboard by the name that browsers give it. */
export interface ScreenKey {
  keysym: number
  code: string
}

export interface KeyCombination {
  label: string
  keys: readonly ScreenKey[]
}

const CONTROL: ScreenKey = { keysym: 0xffe3, code: 'ControlLeft' }
const ALT: ScreenKey = { keysym: 0xffe9, code: 'AltLeft' }
const SHIFT: ScreenKey = { keysym: 0xffe1, code: 'ShiftLeft' }
const F1_KEYSYM = 0xffbe
const functionKey = (number: number): ScreenKey => ({ keysym: F1_KEYSYM + number - 1, code: `F${number}` })

/** Combinations that the host would keep for itself, for the menu. */
export const COMBINATIONS: readonly KeyCombination[] = [
  { label: 'Ctrl+Alt+Del', keys: [CONTROL, ALT, { keysym: 0xffff, code: 'Delete' }] },
  { label: 'Ctrl+Alt+Backspace', keys: [CONTROL, ALT, { keysym: 0xff08, code: 'Backspace' }] },
  { label: 'Print Screen', keys: [{ keysym: 0xff61, code: 'PrintScreen' }] },
  { label: 'Alt+Print Screen (SysRq)', keys: [ALT, { keysym: 0xff15, code: 'PrintScreen' }] },
  { label: 'Super', keys: [{ keysym: 0xffeb, code: 'MetaLeft' }] },
]
export const CONSOLE_COMBINATIONS: readonly KeyCombination[] = Array.from({ length: 12 }, (_, index) => ({
  label: `Ctrl+Alt+F${index + 1}`,
  keys: [CONTROL, ALT, functionKey(index + 1)],
}))

/** Rows of a US keyboard: the codes, and what they type without and with Shift. */
const ROWS: readonly (readonly [codes: readonly string[], plain: string, shifted: string])[] = [
  [
    ['Backquote', ...'1234567890'.split('').map((digit) => `Digit${digit}`), 'Minus', 'Equal'],
    '`1234567890-=',
    '~!@#$%^&*()_+',
  ],
  [[...letters('QWERTYUIOP'), 'BracketLeft', 'BracketRight', 'Backslash'], 'qwertyuiop[]\\', 'QWERTYUIOP{}|'],
  [[...letters('ASDFGHJKL'), 'Semicolon', 'Quote'], "asdfghjkl;'", 'ASDFGHJKL:"'],
  [[...letters('ZXCVBNM'), 'Comma', 'Period', 'Slash', 'Space'], 'zxcvbnm,./ ', 'ZXCVBNM<>?'],
]

function letters(row: string): string[] {
  return row.split('').map((letter) => `Key${letter}`)
}

const TYPED = new Map<string, readonly ScreenKey[]>([
  ['\n', [{ keysym: 0xff0d, code: 'Enter' }]],
  ['\t', [{ keysym: 0xff09, code: 'Tab' }]],
])
for (const [codes, plain, shifted] of ROWS) {
  codes.forEach((code, index) => {
    const [small, large] = [plain.charAt(index), shifted.charAt(index)]
    if (small) TYPED.set(small, [{ keysym: small.charCodeAt(0), code }])
    if (large) TYPED.set(large, [SHIFT, { keysym: large.charCodeAt(0), code }])
  })
}

/** Keys that type `text` on a US keyboard, one entry a character; what has no key there is left out and counted. */
export function keysFor(text: string): { strokes: (readonly ScreenKey[])[]; missing: number } {
  const characters = Array.from(text.replaceAll(/\r\n?/g, '\n'))
  const strokes = characters.map((character) => TYPED.get(character)).filter((keys) => keys !== undefined)
  return { strokes, missing: characters.length - strokes.length }
}
