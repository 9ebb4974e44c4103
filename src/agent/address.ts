import { isIPv4, isIPv6 } from 'node:net';

export interface HostPort {
  readonly host: string;
  readonly port: number;
}

/** A user or a group, by its name or its number. */
export type Account = string | number;

/** A Unix socket: its path, and who may connect. */
export interface UnixSocket {
  readonly path: string;
  /** Permission bits; to connect takes those to write. */
  readonly mode: number;
  /** Undefined: as the agent itself. */
  readonly owner: Account | undefined;
  readonly group: Account | undefined;
}

/** Where a door listens. */
export type ListenAddress = HostPort | UnixSocket;

/** As it stands in a file: an address, or a mapping for a socket that is not the agent's user's alone. */
export type RawListen =
  | string
  | { readonly unix: string; readonly mode?: string; readonly owner?: Account; readonly group?: Account };

/** Of Linux, 108 with its NUL; a system that takes less says so when the door opens. */
const SOCKET_PATH_BYTES_MAX = 107;
/** Whom a socket is for that says nothing of it: the agent's user. */
const SOCKET_MODE = '0600';
const UNIX = 'unix:';

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

/** A loopback address or a Unix socket; undefined if it is neither. */
export function parseListen(raw: RawListen): ListenAddress | undefined {
  if (typeof raw === 'string') {
    return raw.startsWith(UNIX) ? parseListen({ unix: raw.slice(UNIX.length) }) : parseLoopback(raw);
  }
  const { unix: path, mode = SOCKET_MODE, owner, group } = raw;
  return isSocketPath(path)
    ? Object.freeze({ path, mode: Number.parseInt(mode, 8), owner, group })
    : undefined;
}

/** Absolute, and no longer than the system takes. */
export function isSocketPath(path: string): boolean {
  return path.startsWith('/') && !path.includes('\0') && Buffer.byteLength(path) <= SOCKET_PATH_BYTES_MAX;
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
  if ('path' in address) return `${UNIX}${address.path}`;
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
