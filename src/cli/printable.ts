/**
 * Text from the mesh as a terminal may show it: one line, no control characters, because a name or a reason may come
 * from anybody who can write to the bus, and terminals obey what they are sent.
 */
export function printable(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069]+/g, ' ');
}
