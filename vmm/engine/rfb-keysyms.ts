/**
 * X11 keysyms as codes of the XT set (US layout), for viewers that cannot send scan codes themselves; those that can
 * give every key of every layout. 0x80 marks keys that are prefixed with 0xe0.
 */
const ROWS: readonly (readonly [firstCode: number, plain: string, shifted: string])[] = [
  [0x02, '1234567890-=', '!@#$%^&*()_+'],
  [0x10, 'qwertyuiop[]', 'QWERTYUIOP{}'],
  [0x1e, "asdfghjkl;'`", 'ASDFGHJKL:"~'],
  [0x2b, '\\zxcvbnm,./', '|ZXCVBNM<>?'],
]

const NAMED: Record<number, number> = {
  0x20: 0x39, // space
  0xff08: 0x0e, // BackSpace
  0xff09: 0x0f, // Tab
  0xfe20: 0x0f, // ISO_Left_Tab
  0xff0d: 0x1c, // Return
  0xff13: 0xc6, // Pause
  0xff14: 0x46, // Scroll_Lock
  0xff15: 0x54, // Sys_Req
  0xff1b: 0x01, // Escape
  0xff50: 0xc7, // Home
  0xff51: 0xcb, // Left
  0xff52: 0xc8, // Up
  0xff53: 0xcd, // Right
  0xff54: 0xd0, // Down
  0xff55: 0xc9, // Page_Up
  0xff56: 0xd1, // Page_Down
  0xff57: 0xcf, // End
  0xff61: 0xb7, // Print
  0xff63: 0xd2, // Insert
  0xff67: 0xdd, // Menu
  0xff7f: 0x45, // Num_Lock
  0xff8d: 0x9c, // KP_Enter
  0xffe1: 0x2a, // Shift_L
  0xffe2: 0x36, // Shift_R
  0xffe3: 0x1d, // Control_L
  0xffe4: 0x9d, // Control_R
  0xffe5: 0x3a, // Caps_Lock
  0xffe9: 0x38, // Alt_L
  0xffea: 0xb8, // Alt_R
  0xfe03: 0xb8, // ISO_Level3_Shift
  0xffeb: 0xdb, // Super_L
  0xffec: 0xdc, // Super_R
  0xffff: 0xd3, // Delete
}
const F1 = 0xffbe

const CODES = new Map<number, number>(Object.entries(NAMED).map(([keysym, code]) => [Number(keysym), code]))
for (const [first, ...letters] of ROWS) {
  for (const row of letters) {
    for (let index = 0; index < row.length; index++) CODES.set(row.charCodeAt(index), first + index)
  }
}
for (let key = 0; key < 12; key++) CODES.set(F1 + key, key < 10 ? 0x3b + key : 0x57 + key - 10)

/** The key that makes `keysym`, or null for one that the US layout does not have. */
export function scancodeOf(keysym: number): number | null {
  return CODES.get(keysym) ?? null
}
