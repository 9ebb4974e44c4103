/** Two links over a bus in memory, and what their streams have said. */
import { Link, type Serve } from '../../src/agent/link/link.ts';
import type { Stream, StreamHandler } from '../../src/agent/link/stream.ts';
import { asWeftError, type WeftError } from '../../src/protocol/errors.ts';
import type { Keyring } from '../../src/protocol/keyring.ts';
import { createRoot } from '../../src/protocol/root.ts';
import { FakeBus } from '../kit/fake-bus.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';

export const SERVICE = 'orders.default';
export const HEAD = `GET / ${SERVICE} checkout.default 15000\r\n`;

/** What one end of a stream was told, in order. */
export class Ear implements StreamHandler {
  readonly heard: string[] = [];
  readonly chunks: Buffer[] = [];
  bytes = 0;
  onData: (chunk: Buffer) => void = () => {};
  onWritable: () => void = () => {};

  streamInformational(head: string): void {
    this.heard.push(`informational ${head.trim()}`);
  }
  streamResponse(head: string, last: boolean): void {
    this.heard.push(`response ${head.trim()}${last ? ' last' : ''}`);
  }
  streamData(chunk: Buffer): void {
    this.chunks.push(Buffer.from(chunk));
    this.bytes += chunk.length;
    this.onData(chunk);
  }
  streamEnd(trailers: string): void {
    this.heard.push(`end ${trailers.trim()}`.trim());
  }
  streamReset(error: WeftError): void {
    this.heard.push(`reset ${error.code}`);
  }
  streamWritable(): void {
    this.onWritable();
  }
}

/** One stream that was opened at this end. */
export interface Served {
  readonly stream: Stream;
  readonly ear: Ear;
  readonly head: string;
  readonly last: boolean;
}

export interface Node {
  readonly link: Link;
  readonly keyring: Keyring;
  readonly served: Served[];
  readonly refused: string[];
  readonly found: string[];
  readonly missing: string[];
  /** Evidence that it has got. */
  readonly proven: { readonly service: string; readonly line: string }[];
}

/** Links that trust one root, on one bus, with one clock that only the test moves. */
export class Network {
  readonly bus = new FakeBus();
  nowMs = 1_000_000;
  readonly seed = createRoot().seed;
  /** Services that take nothing but what is signed, on the side that serves. */
  readonly demanding = new Set<string>();

  join(agent: string, workloads: readonly string[], serves: readonly string[] = []): Node {
    const now = () => this.nowMs;
    const keyring = createRootKeyring({ rootSeed: this.seed, mesh: 'test', agent, workloads, now });
    const served: Served[] = [];
    const refused: string[] = [];
    const found: string[] = [];
    const missing: string[] = [];
    const proven: Node['proven'] = [];
    const serve: Serve = (stream, _from, head, last) => {
      const ear = new Ear();
      served.push({ stream, ear, head, last });
      const service = head.split(' ')[2] ?? '';
      try {
        if (this.demanding.has(service)) stream.requireEvidence(service);
      } catch (error) {
        const { code, message } = asWeftError(error);
        stream.reset(code, message);
      }
      return ear;
    };
    const link = new Link({
      keyring,
      wallMs: now,
      now,
      serve,
      events: {
        fault: (error) => {
          throw error;
        },
        refused: (reason, details) => refused.push(`${reason}: ${details}`),
        served: (service, { agent }) => found.push(`${service} at ${agent}`),
        missing: (service, agent) => missing.push(`${service} at ${agent}`),
        proven: (service, packet) => proven.push({ service, line: packet.line() }),
      },
    });
    link.attach(this.bus.connect());
    for (const service of serves) link.join(service);
    return { link, keyring, served, refused, found, missing, proven };
  }
}

/** Lets everything that is on its way arrive: a packet takes a few turns each way. */
export async function settle(): Promise<void> {
  for (let turns = 0; turns < 60; turns++) await new Promise((resolve) => setImmediate(resolve));
}
