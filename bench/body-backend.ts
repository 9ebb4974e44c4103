import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import { finished } from 'node:stream';

/**
 * The application behind the body transfers, a process that prints its port. `GET /<bytes>?chunked` or `?length`
 * sends that many bytes as fast as they are taken; `POST /count` answers with how many bytes came; `POST /stall`
 * takes the head and never reads the body.
 */
const BLOCK = Buffer.alloc(64 * 1024, 'weft');

function sendBytes(response: ServerResponse, bytes: number, chunked: boolean): void {
  if (!chunked) response.setHeader('Content-Length', bytes);
  let left = bytes;
  let gone = false;
  finished(response, () => {
    gone = true;
  });
  const more = () => {
    while (left > 0 && !gone) {
      const block = left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
      left -= block.length;
      if (!response.write(block)) {
        response.once('drain', more);
        return;
      }
    }
    if (left === 0) response.end();
  };
  more();
}

function countBytes(request: IncomingMessage, response: ServerResponse): void {
  let bytes = 0;
  request.on('data', (block: Buffer) => {
    bytes += block.length;
  });
  request.on('end', () => response.end(String(bytes)));
}

const server = createServer((request, response) => {
  const { pathname, search } = new URL(request.url ?? '/', 'http://backend');
  request.on('error', () => response.destroy());
  if (request.method === 'GET') sendBytes(response, Number(pathname.slice(1)), search === '?chunked');
  else if (pathname === '/count') countBytes(request, response);
  else request.pause();
});
server.requestTimeout = 0;
server.listen(0, '127.0.0.1', () => {
  const address = server.address();
  if (address !== null && typeof address === 'object') console.log(address.port);
});
process.stdin.resume().once('end', () => process.exit());
