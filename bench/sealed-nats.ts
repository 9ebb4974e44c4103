import { createCipheriv, createDecipheriv, createSecretKey } from 'node:crypto';
import { connect } from '@nats-io/transport-node';
import type { BodyFigures } from './body-client.ts';

/**
 * What nats.js alone moves: `receive <url> <bytes>` and `send <url> <bytes>`, two processes, 64 KiB messages sealed
 * with AES-256-GCM, a window of credit so that neither the server nor the receiver is overrun. The sender prints the
 * time until the receiver has opened the last byte. The key is no secret: there is nothing to hide here.
 */
const BLOCK = Buffer.alloc(64 * 1024, 'weft');
const TAG_BYTES = 16;
const WINDOW_BYTES = 1024 * 1024;
const CREDIT_BYTES = WINDOW_BYTES / 4;
const KEY = createSecretKey(Buffer.alloc(32, 7));

const [role = '', servers = '', size] = process.argv.slice(2);
const bytes = Number(size);
const connection = await connect({ servers });

/** 6 zero bytes and the number of the message, as Weft's packets have it. */
function nonce(counter: number): Buffer {
  const value = Buffer.alloc(12);
  value.writeUIntBE(counter, 6, 6);
  return value;
}

async function receive(): Promise<void> {
  let counter = 0;
  let received = 0;
  let ungranted = 0;
  connection.subscribe('bench.body', {
    callback: (error, message) => {
      if (error !== null) throw error;
      const { data } = message;
      const opener = createDecipheriv('aes-256-gcm', KEY, nonce(++counter));
      opener.setAuthTag(data.subarray(data.length - TAG_BYTES));
      const block = opener.update(data.subarray(0, data.length - TAG_BYTES));
      opener.final();
      received += block.length;
      ungranted += block.length;
      if (ungranted < CREDIT_BYTES && received < bytes) return;
      connection.publish('bench.credit', String(ungranted));
      ungranted = 0;
    },
  });
  await connection.flush();
  console.log('ready');
}

function send(): void {
  const startedAt = performance.now();
  let counter = 0;
  let sent = 0;
  let granted = 0;
  const pump = () => {
    while (sent < bytes && sent - granted < WINDOW_BYTES) {
      const block = bytes - sent < BLOCK.length ? BLOCK.subarray(0, bytes - sent) : BLOCK;
      const sealer = createCipheriv('aes-256-gcm', KEY, nonce(++counter));
      const sealed = Buffer.concat([sealer.update(block), sealer.final(), sealer.getAuthTag()]);
      connection.publish('bench.body', sealed);
      sent += block.length;
    }
  };
  connection.subscribe('bench.credit', {
    callback: (error, message) => {
      if (error !== null) throw error;
      granted += Number(message.string());
      if (granted < bytes) return pump();
      const figures: BodyFigures = { bytes, seconds: (performance.now() - startedAt) / 1000 };
      process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());
    },
  });
  pump();
}

if (role === 'receive') await receive();
else send();
process.stdin.resume().once('end', () => process.exit());
