/** HTTP and TLS by another name: `h2c`, `HTTP/2.0`, `TLS/1.0`. */
const ANOTHER_HTTP = /(?:^|[\s,])(?:h2c?|http|tls)(?:[\s,/]|$)/i;

/**
 * True if an Upgrade value may be offered to the next hop. After an upgrade the stream is opaque, so one that
 * leads to another HTTP would carry requests past every check ("h2c smuggling"). A server may always ignore
 * an Upgrade (RFC 9110 §7.8), so leaving it out is a faithful answer.
 */
export function isPassableUpgrade(value: string): boolean {
  return value !== '' && !ANOTHER_HTTP.test(value);
}
