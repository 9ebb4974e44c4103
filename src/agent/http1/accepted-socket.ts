/**
 * Reads accepted connections into one piece of memory. Node offers that for sockets that connect (`onread`), and
 * not for those that a server accepts, where each read costs a buffer of its own: measured, a tenth of what a small
 * request costs on this side. So the handle is taken over by a socket of our own making; should a version of Node
 * keep its handles elsewhere, the connection is read in the ordinary way.
 */
import { Socket, type SocketConstructorOpts } from 'node:net';

/** What is read is used, or copied, before the next read. */
const READ_BUFFER = Buffer.allocUnsafeSlow(64 * 1024);

/** Node's own name for what is below a socket; not part of its documented interface. */
interface Handled {
  _handle: object | null;
}

/**
 * The socket to use instead of `accepted`, which must be paused (`pauseOnConnect`). What it reads goes to `onBytes`,
 * only lent, or, if it could not be taken over, to its `data` event. The server counts it as open for ever.
 */
export function adopt(accepted: Socket, onBytes: (bytes: Buffer) => void): Socket {
  const handled = accepted as unknown as Handled;
  const handle = handled._handle;
  if (handle === null || handle === undefined) return accepted;
  handled._handle = null;
  const options: Omit<SocketConstructorOpts, 'handle'> & { handle: object } = {
    handle,
    allowHalfOpen: true,
    onread: {
      buffer: READ_BUFFER,
      callback: (length: number, buffer: Uint8Array): boolean => {
        onBytes((buffer as Buffer).subarray(0, length));
        return true;
      },
    },
  };
  return new Socket(options as SocketConstructorOpts);
}
