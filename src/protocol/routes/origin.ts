/** Origins as CORS compares them: scheme, host and port, where the port may be implied (HTTPROUTE.md A4). */

const ORIGIN = /^(https?):\/\/([^/:?#@\s]+|\[[0-9a-f:.]+\])(?::([0-9]{1,5}))?$/;

/**
 * True if `origin`, as a browser sends it, is one that `allowed` means: `*` is all of them, `https://shop.example`
 * this one, `https://*.shop.example` all below it at any depth but not itself, `https://*` any host.
 */
export function isAllowedOrigin(origin: string, allowed: readonly string[]): boolean {
  const from = ORIGIN.exec(origin.toLowerCase());
  return allowed.some((pattern) => {
    if (pattern === '*' || pattern === origin) return true;
    const to = from === null ? null : ORIGIN.exec(pattern.toLowerCase());
    if (from === null || to === null || from[1] !== to[1] || portOf(from) !== portOf(to)) return false;
    return fitsHost(from[2]!, to[2]!);
  });
}

function portOf([, scheme, , port]: RegExpExecArray): number {
  if (port !== undefined) return Number(port);
  return scheme === 'https' ? 443 : 80;
}

function fitsHost(host: string, pattern: string): boolean {
  if (pattern === '*') return true;
  if (!pattern.startsWith('*.')) return host === pattern;
  return host.length > pattern.length - 1 && host.endsWith(pattern.slice(1));
}
