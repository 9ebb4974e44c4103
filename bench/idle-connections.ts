import { connect } from 'node:net';

/**
 * Process that opens `<count>` connections to `<port>`, makes one request on each, prints a line when all are answered,
 * and keeps them. In steps, so that no listen backlog is the limit.
 */
const AT_ONCE = 100;
const [port = 0, count = 0] = process.argv.slice(2).map(Number);
const REQUEST = 'GET /hello HTTP/1.1\r\nHost: orders\r\n\r\n';

let opened = 0;
let answered = 0;

function fail(reason: string): never {
  console.error(`${answered} of ${count} connections answered: ${reason}`);
  process.exit(1);
}

function open(): void {
  opened++;
  const socket = connect({ port, host: '127.0.0.1' });
  socket.on('error', (error) => fail(error.message)).on('close', () => fail('connection closed'));
  socket.once('data', (bytes: Buffer) => {
    if (!bytes.toString('latin1').startsWith('HTTP/1.1 200 ')) fail(bytes.toString('latin1').slice(0, 300));
    if (++answered === count) console.log('open');
    if (opened < count) open();
  });
  socket.write(REQUEST);
}

for (let step = 0; step < Math.min(AT_ONCE, count); step++) open();
process.stdin.resume().once('end', () => process.exit());
