/**
 * Length of the longest beginning of `next` that `bytes` ends with. In time that grows with their lengths and no faster
 * (Knuth, Morris and Pratt), as both come from a guest.
 */
export function overlap(bytes: Uint8Array, next: Uint8Array): number {
  const pattern = next.subarray(0, bytes.length)
  const borders = bordersOf(pattern)
  let matched = 0
  for (const byte of bytes.subarray(bytes.length - pattern.length)) {
    while (matched > 0 && pattern[matched] !== byte) matched = borders[matched - 1] ?? 0
    if (pattern[matched] === byte) matched += 1
  }
  return matched
}

/** For each beginning of the pattern, the length of the longest shorter one that it ends with. */
function bordersOf(pattern: Uint8Array): Uint32Array {
  const borders = new Uint32Array(pattern.length)
  let length = 0
  for (let at = 1; at < pattern.length; at += 1) {
    while (length > 0 && pattern[at] !== pattern[length]) length = borders[length - 1] ?? 0
    if (pattern[at] === pattern[length]) length += 1
    borders[at] = length
  }
  return borders
}
