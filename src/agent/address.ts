import { isIPv4, isIPv6 } from 'node:net';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** Where a door listens: loopback TCP, or a Unix socket by its path. */
export type ListenAddress = HostPort | { readonly path: string };

/** The shortest limit of the systems we run on (macOS, 104 with its NUL). */
const SOCKET_PATH_BYTES_MAX = 103;

/** `127.0.0.1:15001` or `[::1]:15001`; undefined if it is no address with a port from 1 to 65535, or not loopback. */
export function parseLoopback(text: string): HostPort | undefined {
  const [, bracketed, plain, digits] = /^(?:\[([^\]]*)\]|([^:]*)):([0-9]{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  if (!isPort(port)) return undefined;
  if (plain !== undefined) {
    return isIPv4(plain) && plain.startsWith('127.') ? Object.freeze({ host: plain, port }) : undefined;
  }
  return bracketed === '::1' ? Object.freeze({ host: bracketed, port }) : undefined;
}

/** A loopback address or `unix:/path`; undefined if it is neither. */
export function parseListen(text: string): ListenAddress | undefined {
  if (!text.startsWith('unix:')) return parseLoopback(text);
  const path = text.slice('unix:'.length);
  const fits =
    path.startsWith('/') && !path.includes('\0') && Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
  return fits ? Object.freeze({ path }) : undefined;
}

/** `http://host:port`, host a name or an IP address; undefined for anything with more or less than that. */
export function parseUpstream(text: string): HostPort | undefined {
  const [, bracketed, plain, digits] =
    /^http:\/\/(?:\[([0-9a-fA-F:.]{2,45})\]|([A-Za-z0-9._-]{1,253})):([0-9]{1,5})\/?$/.exec(text) ?? [];
  const port = Number(digits);
  const host = bracketed ?? plain;
  if (host === undefined || !isPort(port)) return undefined;
  if (bracketed !== undefined && !isIPv6(bracketed)) return undefined;
  return Object.freeze({ host, port });
}

/** As it stands in a file: `127.0.0.1:15001`, `[::1]:15001`, `unix:/run/weft/a.sock`. */
export function addressText(address: ListenAddress): string {
  if ('path' in address) return `unix:${address.path}`;
  return isIPv6(address.host) ? `[${address.host}]:${address.port}` : `${address.host}:${address.port}`;
}

/** Why a listener could not be had, in words. */
export function whyNotListening(error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException;
  return code === 'EADDRINUSE' ? 'another program listens there' : message;
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port >= 1 && port <= 65_535;
}
