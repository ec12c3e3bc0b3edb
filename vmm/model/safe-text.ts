/**
 * C0 and C1 controls, DEL, line separators, and the marks that reorder or hide text (bidirectional
 * overrides, zero-width characters, byte-order mark): none belongs in a name or a log line.
 */
// eslint-disable-next-line no-control-regex -- matching control characters is the purpose
const UNSAFE = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]/u

export function hasUnsafeText(text: string): boolean {
  return UNSAFE.test(text)
}

/**
 * Text from a guest, an image or an error made fit to show: unsafe characters become U+FFFD, and
 * what is longer than `limit` UTF-16 units ends in an ellipsis.
 */
export function safeText(text: string, limit = 500): string {
  const cut = text.length > limit ? `${text.slice(0, limit - 1)}…` : text
  return cut.replace(new RegExp(UNSAFE, 'gu'), '\ufffd')
}
