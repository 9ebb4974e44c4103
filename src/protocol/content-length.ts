/** Largest length a double holds exactly; more is refused, not rounded. */
const DIGITS_MAX = 16;

/**
 * Bytes that a Content-Length value announces, or -1 if it is not 1*DIGIT (RFC 9110 §8.6) or above 2^53-1.
 * A list of equal values (`5, 5`), which the RFC lets a recipient repair, is not repaired.
 */
export function parseContentLength(value: string): number {
  if (value.length === 0 || value.length > DIGITS_MAX) return -1;
  let length = 0;
  for (let at = 0; at < value.length; at++) {
    const digit = value.charCodeAt(at) - 0x30;
    if (!(digit >= 0 && digit <= 9)) return -1;
    length = length * 10 + digit;
  }
  return length <= Number.MAX_SAFE_INTEGER ? length : -1;
}
