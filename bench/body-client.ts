import { request } from 'node:http';

/**
 * Process that moves one body and prints one line of JSON when it is through: `down <port> <bytes> chunked|length` or
 * `up …`; `stall-down` and `stall-up` move a body whose reader stops, print a line when the head is through and stay
 * until they are ended. The Host is `bulk`.
 */
export interface BodyFigures {
  readonly bytes: number;
  readonly seconds: number;
}

const [direction = '', port, size, framing] = process.argv.slice(2);
const bytes = Number(size);
const BLOCK = Buffer.alloc(64 * 1024, 'weft');
const target = { host: '127.0.0.1', port: Number(port), headers: { host: 'bulk' } };
const startedAt = performance.now();

function done(count: number): void {
  if (count !== bytes) fail(`${count} of ${bytes} bytes arrived`);
  const figures: BodyFigures = { bytes, seconds: (performance.now() - startedAt) / 1000 };
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());
}

function fail(reason: string): never {
  console.error(`${direction}: ${reason}`);
  process.exit(1);
}

function download(stalls: boolean): void {
  const exchange = request({ ...target, path: `/${bytes}?${framing}` }, (response) => {
    if (response.statusCode !== 200) fail(`status ${response.statusCode}`);
    if (stalls) {
      response.pause();
      console.log('stalled');
      return;
    }
    let count = 0;
    response.on('data', (block: Buffer) => {
      count += block.length;
    });
    response.on('error', (error) => fail(error.message)).on('end', () => done(count));
  });
  exchange.on('error', (error) => fail(error.message)).end();
}

function upload(path: string): void {
  const exchange = request({ ...target, path, method: 'POST' }, (response) => {
    let text = '';
    response.setEncoding('latin1').on('data', (part: string) => {
      text += part;
    });
    response.on('error', (error) => fail(error.message));
    response.on('end', () => (response.statusCode === 200 ? done(Number(text)) : fail(text.slice(0, 300))));
  });
  if (framing === 'length') exchange.setHeader('Content-Length', bytes);
  exchange.on('error', (error) => fail(error.message));
  let left = bytes;
  const more = () => {
    while (left > 0) {
      const block = left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
      left -= block.length;
      if (!exchange.write(block)) {
        exchange.once('drain', more);
        return;
      }
    }
    exchange.end();
  };
  more();
  if (path === '/stall') console.log('stalled');
}

if (direction === 'down') download(false);
else if (direction === 'up') upload('/count');
else if (direction === 'stall-down') download(true);
else upload('/stall');
process.stdin.resume().once('end', () => process.exit());
