/**
 * Names, IPv4 and bracketed IPv6, with or without a port. Narrower than RFC 3986 §3.2: userinfo, percent
 * escapes and sub-delims (`,` `;` `@` …) in a host have no honest use here, and next hops differ about them.
 */
const AUTHORITY = /^(?:[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{0,5})?$/;
const AUTHORITY_BYTES_MAX = 261;
const COLON = 0x3a;
const PORT_MAX = 65_535;
/** RFC 9110 §4.2.1. */
const HTTP_PORT = 80;

/** True for `host` or `host:port` as a Host field or an absolute-form target may carry it. */
export function isAuthority(text: string): boolean {
  if (text.length > AUTHORITY_BYTES_MAX || !AUTHORITY.test(text)) return false;
  // Only five digits after a colon can be too much; in front of that the colon may belong to an IPv6 address.
  return text.charCodeAt(text.length - 6) !== COLON || !(Number(text.slice(-5)) > PORT_MAX);
}

/**
 * The two parts of an authority that names a service: no brackets, and behind a colon digits or nothing. Without a port
 * it is HTTP's.
 */
export function splitAuthority(authority: string): { readonly hostname: string; readonly port: number } {
  const colon = authority.indexOf(':');
  if (colon < 0) return { hostname: authority, port: HTTP_PORT };
  return { hostname: authority.slice(0, colon), port: Number(authority.slice(colon + 1)) || HTTP_PORT };
}
