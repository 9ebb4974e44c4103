/**
 * Thousands of requests of every kind at once, some broken off: each arrives byte for byte or fails with a name,
 * and nothing is left behind. `WEFT_CROWD` says how many, `WEFT_CROWD_SEED` repeats a run.
 */
import { once } from 'node:events';
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import test from 'ava';
import { startApplication, startMesh, until } from '../kit/mesh.ts';
import { type Message, PATTERN, type Plan, planOf } from './crowd-plan.ts';

const REQUESTS = Number(process.env.WEFT_CROWD ?? 1_500);
const SEED = Number(process.env.WEFT_CROWD_SEED ?? Date.now() % 100_000);
const AT_ONCE = 50;
const PIECE_BYTES = 48 * 1024;

class BrokenOff extends Error {}

const bodyOf = ({ from, bytes }: Message) => PATTERN.subarray(from, from + bytes);
const crowdFields = (raw: readonly string[]) =>
  raw.filter((_, at) => /^x-(a|b|c|long)/.test(raw[at - (at % 2)] ?? ''));

/** Reads a body and holds it against what it should be; throws BrokenOff after `upTo` bytes. */
async function check(stream: IncomingMessage, expected: Buffer, upTo = Number.POSITIVE_INFINITY) {
  let at = 0;
  for await (const chunk of stream) {
    if (at + chunk.length > expected.length || chunk.compare(expected, at, at + chunk.length) !== 0) {
      throw new Error(`byte ${at} to ${at + chunk.length} of ${expected.length} are not what was sent`);
    }
    at += chunk.length;
    if (at >= upTo) throw new BrokenOff();
  }
  if (at < expected.length) throw new Error(`${at} of ${expected.length} bytes, and a proper end`);
}

/** Writes a body no faster than it is taken, and ends it, or breaks off within it. */
async function send(out: Writable, message: Message, upTo?: number) {
  const body = bodyOf(message).subarray(0, upTo);
  async function* pieces() {
    for (let at = 0; at < body.length; at += PIECE_BYTES) yield body.subarray(at, at + PIECE_BYTES);
    if (upTo !== undefined) throw new BrokenOff();
  }
  // Whoever reads it sees a break; here it only ends the writing.
  await pipeline(pieces, out).catch(() => {});
}

const framing = ({ bytes, chunked }: Message, none: boolean): string[] =>
  none ? [] : chunked ? ['transfer-encoding', 'chunked'] : ['content-length', String(bytes)];

test(`a crowd of ${REQUESTS} (seed ${SEED}) arrives byte-exact or fails with a name, and leaves nothing`, async (t) => {
  t.timeout(300_000);
  const wrong: string[] = [];
  const serve = async (incoming: IncomingMessage, response: ServerResponse) => {
    const plan = planOf(SEED, Number(incoming.url?.slice(1)));
    const fields = crowdFields(incoming.rawHeaders);
    if (incoming.method !== plan.method || fields.join('\n') !== plan.fields.join('\n')) {
      wrong.push(`request ${plan.number}: ${incoming.method} ${JSON.stringify(fields)}`);
    }
    try {
      await check(incoming, bodyOf(plan.request));
    } catch (error) {
      if (plan.broken?.by !== 'caller') wrong.push(`request ${plan.number}: ${error}`);
      response.destroy();
      return;
    }
    const none = plan.method === 'HEAD' || plan.status === 204;
    response.writeHead(plan.status, [...plan.fields, ...framing(plan.response, none)]);
    await send(response, plan.response, plan.broken?.by === 'application' ? plan.broken.after : undefined);
  };
  const orders = await startApplication((incoming, response) => void serve(incoming, response));
  t.teardown(orders.stop);
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const back = await mesh.add('back', [{ service: 'orders.default', ports: [orders.port] }]);
  const front = await mesh.add('front', [{ service: 'checkout.default', calls: true }]);
  const keepAlive = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  t.teardown(() => keepAlive.destroy());

  const counted = { exact: 0, named: new Map<string, number>(), broken: 0 };

  const call = async (plan: Plan): Promise<void> => {
    const { method, broken } = plan;
    const byCaller = broken?.by === 'caller' ? broken : undefined;
    const none = plan.request.bytes === 0 && !plan.request.chunked;
    const sent = request({
      host: '127.0.0.1',
      port: front.door,
      path: `/${plan.number}`,
      method,
      agent: keepAlive,
      headers: ['host', 'orders', ...plan.fields, ...framing(plan.request, none)],
    });
    const gone = once(sent, 'close').then(() => {
      throw new BrokenOff();
    });
    const answered = Promise.race([once(sent, 'response'), gone]);
    const upTo = byCaller?.where === 'request' ? byCaller.after : undefined;
    void send(sent, plan.request, upTo);
    const [response] = (await answered) as [IncomingMessage];
    const name = response.headers['proxy-status'];
    if (name !== undefined) {
      response.resume();
      const code = /details="(\w+)/.exec(String(name))?.[1] ?? String(name);
      counted.named.set(code, (counted.named.get(code) ?? 0) + 1);
      return;
    }
    await check(response, bodyOf(plan.response), byCaller?.where === 'response' ? byCaller.after : undefined);
    if (byCaller?.where === 'response') throw new BrokenOff();
    const fields = crowdFields(response.rawHeaders);
    if (response.statusCode !== plan.status || fields.join('\n') !== plan.fields.join('\n')) {
      throw new Error(`status ${response.statusCode}, ${JSON.stringify(fields)}`);
    }
    if (broken !== undefined) throw new Error('a response that was broken off looked complete');
    counted.exact += 1;
  };

  let next = 0;
  const caller = async () => {
    while (next < REQUESTS) {
      const plan = planOf(SEED, next++);
      try {
        await call(plan);
      } catch (error) {
        if (
          plan.broken !== undefined &&
          /BrokenOff|ECONNRESET|EPIPE|aborted|hang up/.test(`${error} ${(error as Error).constructor.name}`)
        )
          counted.broken += 1;
        else wrong.push(`response ${plan.number}: ${error}`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, caller));

  t.deepEqual(wrong, []);
  const named = [...counted.named.values()].reduce((sum, count) => sum + count, 0);
  t.log({ exact: counted.exact, broken: counted.broken, named: Object.fromEntries(counted.named) });
  t.is(counted.exact + counted.broken + named, REQUESTS);
  keepAlive.destroy();
  const empty = ({ agent }: typeof front) => Object.values(agent.counts()).every((count) => count === 0);
  await until(
    () => empty(front) && empty(back),
    `nothing left: ${JSON.stringify([front.agent.counts(), back.agent.counts()])}`,
  );
  t.pass();
});
