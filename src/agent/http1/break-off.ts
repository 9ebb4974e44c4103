import type { Socket } from 'node:net';

/**
 * Ends a connection with a reset, so that the other side sees that what it has is not all, and drops what has not
 * left yet. `resetAndDestroy` alone would first wait for that to leave, for ever if nobody reads; it fails after the
 * end has been sent, and then neither closes nor says so; and Unix sockets know no reset.
 */
export function breakOff(socket: Socket): void {
  const endSent = socket.writableEnded && socket.writableLength === 0;
  if (socket.remoteAddress !== undefined && !endSent) socket.resetAndDestroy();
  socket.destroy();
}
