import { connect, type Socket } from 'node:net';
import { Worker } from 'node:worker_threads';
import type { Pace } from './pace.ts';
import { percentile } from './statistics.ts';

/**
 * Process that sends POST requests on a fixed schedule, whatever the answers do, and prints one line of JSON.
 * Latency counts from the time a request was due, not from the time it could be written, so that a stall shows in
 * every request that it delayed (no coordinated omission).
 * Arguments: port, requests per second, seconds, bytes of the body.
 */
export interface OpenLoopFigures {
  readonly requests: number;
  readonly p50Us: number;
  readonly p90Us: number;
  readonly p99Us: number;
  /** How late the generator itself was, in the figures above: 99th percentile. */
  readonly lateP99Us: number;
}

const CONNECTIONS = 64;
const START_AFTER_NS = 300_000_000n;
const LAST_ANSWERS_MS = 5_000;

const [port = 0, rate = 0, seconds = 0, bodyBytes = 0] = process.argv.slice(2).map(Number);
const body = 'b'.repeat(bodyBytes);
const request = Buffer.from(
  `POST /orders HTTP/1.1\r\nHost: orders\r\nContent-Type: text/plain\r\nContent-Length: ${bodyBytes}\r\n\r\n${body}`,
);
const intervalNs = BigInt(Math.round(1e9 / rate));
const count = rate * seconds;

interface Line {
  readonly socket: Socket;
  dueNs: bigint;
  text: string;
}
const free: Line[] = [];
const waiting: bigint[] = [];
const latenciesUs: number[] = [];
const lateUs: number[] = [];

const sinceUs = (dueNs: bigint) => Number(process.hrtime.bigint() - dueNs) / 1000;

function send(line: Line, dueNs: bigint): void {
  line.dueNs = dueNs;
  line.socket.write(request);
}

function receive(line: Line, text: string): void {
  line.text += text;
  const headEnd = line.text.indexOf('\r\n\r\n');
  if (headEnd < 0) return;
  const length = Number(/\r\ncontent-length: *(\d+)/i.exec(line.text)?.[1]);
  if (!line.text.startsWith('HTTP/1.1 200 ') || Number.isNaN(length)) fail(line.text.slice(0, 300));
  if (line.text.length < headEnd + 4 + length) return;
  latenciesUs.push(sinceUs(line.dueNs));
  line.text = '';
  const next = waiting.shift();
  if (next === undefined) free.push(line);
  else send(line, next);
  if (latenciesUs.length === count) report();
}

function report(): void {
  const figures: OpenLoopFigures = {
    requests: latenciesUs.length,
    p50Us: percentile(latenciesUs, 0.5),
    p90Us: percentile(latenciesUs, 0.9),
    p99Us: percentile(latenciesUs, 0.99),
    lateP99Us: percentile(lateUs, 0.99),
  };
  process.stdout.write(`${JSON.stringify(figures)}\n`, () => process.exit());
}

function fail(reason: string): never {
  console.error(reason);
  process.exit(1);
}

function startPace(): void {
  const startNs = process.hrtime.bigint() + START_AFTER_NS;
  const workerData: Pace = { startNs, intervalNs, count };
  const pace = new Worker(new URL('./pace.ts', import.meta.url), { workerData });
  pace.on('message', (index: number) => {
    const dueNs = startNs + BigInt(index) * intervalNs;
    lateUs.push(sinceUs(dueNs));
    const line = free.pop();
    if (line === undefined) waiting.push(dueNs);
    else send(line, dueNs);
  });
  const limitMs = seconds * 1000 + LAST_ANSWERS_MS;
  setTimeout(() => fail(`${count - latenciesUs.length} of ${count} requests not answered in time`), limitMs);
}

for (let opened = 0; opened < CONNECTIONS; opened++) {
  const socket = connect({ port, host: '127.0.0.1', noDelay: true });
  const line: Line = { socket, dueNs: 0n, text: '' };
  socket.setEncoding('latin1').on('data', (text) => receive(line, String(text)));
  socket.on('error', (error) => fail(error.message)).on('close', () => fail('connection closed'));
  socket.on('connect', () => {
    if (free.push(line) === CONNECTIONS) startPace();
  });
}
process.stdin.resume().once('end', () => process.exit());
