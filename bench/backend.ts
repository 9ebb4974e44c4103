import { createServer, type Socket } from 'node:net';

/**
 * The application behind every path: reads a request with its body, answers 200 with ~100 bytes. Started as a process
 * of its own, prints its port. It trusts its input (a proxy or our own generator) and is as cheap as node:net allows,
 * so that what is measured is what lies before it.
 */

const BODY = JSON.stringify({ service: 'orders', items: [1, 2, 3, 4, 5, 6, 7, 8], note: 'x'.repeat(40) });
const ANSWER = Buffer.from(
  `HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n\r\n${BODY}`,
  'latin1',
);
const LENGTH = /\r\ncontent-length: *(\d+)/i;
const CHUNKED = /\r\ntransfer-encoding: *chunked/i;

function serve(socket: Socket): void {
  socket.setNoDelay(true);
  let pending = '';
  socket.on('data', (bytes: Buffer) => {
    const text = bytes.toString('latin1');
    pending = pending === '' ? text : pending + text;
    let answers = 0;
    while (pending !== '') {
      const end = requestEnd(pending);
      if (end < 0) break;
      answers++;
      pending = pending.slice(end);
    }
    if (answers === 1) socket.write(ANSWER);
    else if (answers > 1) socket.write(Buffer.concat(Array<Buffer>(answers).fill(ANSWER)));
  });
  socket.on('error', () => socket.destroy());
}

/** Index after the first request in `text`, -1 while it is not complete. */
function requestEnd(text: string): number {
  const headEnd = text.indexOf('\r\n\r\n');
  if (headEnd < 0) return -1;
  if (text.startsWith('GET ')) return headEnd + 4;
  const head = text.slice(0, headEnd);
  if (CHUNKED.test(head)) {
    const last = text.indexOf('\r\n0\r\n\r\n', headEnd + 2);
    return last < 0 ? -1 : last + 7;
  }
  const end = headEnd + 4 + Number(LENGTH.exec(head)?.[1] ?? 0);
  return end <= text.length ? end : -1;
}

const server = createServer(serve).listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(address.port);
});
process.stdin.resume().once('end', () => process.exit());
