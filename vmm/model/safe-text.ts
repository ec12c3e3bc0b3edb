/**
 * C0 and C1 controls, DEL, line separators, the marks that reorder or hide text (bidirectional overrides,
 * zero-width characters, annotations, tags, byte-order mark) and halves of characters: none belongs in a name or
 * a log line.
 */
const UNSAFE =
  // eslint-disable-next-line no-control-regex -- matching control characters is the purpose
  /[\u0000-\u001f\u007f-\u009f\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufff9-\ufffb\u{e0000}-\u{e007f}]/u

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
