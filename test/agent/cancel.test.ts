import { once } from 'node:events';
import { Agent, type ClientRequest, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import test, { type ExecutionContext } from 'ava';
import { quiet, startApplication, startMesh, until } from '../kit/mesh.ts';

type Exchange = { readonly incoming: IncomingMessage; readonly response: ServerResponse };

/** A caller and an application that only does what the test says. */
async function start(t: ExecutionContext, oneAgent: boolean) {
  const mesh = await startMesh();
  t.teardown(mesh.stop);
  const arrived: Exchange[] = [];
  const orders = await startApplication((incoming, response) => arrived.push({ incoming, response }));
  t.teardown(orders.stop);
  const serving = { service: 'orders.default', ports: [orders.port] };
  const calling = { service: 'checkout.default', calls: true };
  const agents = oneAgent
    ? [await mesh.add('both', [serving, calling])]
    : [await mesh.add('back', [serving]), await mesh.add('front', [calling])];
  const door = agents.at(-1)?.door as number;
  // Who asks for `Connection: close` and ends its half may still be reading; these callers do not.
  const connections = new Agent({ keepAlive: true });
  const call = (method = 'GET'): ClientRequest => {
    const headers = { host: 'orders' };
    const sent = request({ host: '127.0.0.1', port: door, method, headers, agent: connections });
    sent.on('error', () => {});
    return sent;
  };
  const nothingLeft = () => until(() => agents.every(({ agent }) => quiet(agent)), 'nothing is left');
  const next = async () => {
    await until(() => arrived.length > 0, 'the application has the request');
    return arrived.shift() as Exchange;
  };
  return { call, next, nothingLeft };
}

for (const oneAgent of [false, true]) {
  const where = oneAgent ? 'on one agent' : 'across the mesh';

  test(`${where}, who goes before an answer takes the request along`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call();
    sent.end();
    const { response } = await next();
    // At once: long before the far side would have acknowledged by itself.
    sent.destroy();
    await once(response, 'close');
    await nothingLeft();
    t.false(response.writableFinished);
  });

  test(`${where}, who goes after a body that came behind its head takes the request along`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call('POST');
    const [socket] = (await once(sent, 'socket')) as [Socket];
    await once(socket, 'connect');
    sent.flushHeaders();
    // The body is read before anybody knows who has the request, and so has to wait.
    await setImmediate();
    await setImmediate();
    sent.end('body');
    const { incoming, response } = await next();
    incoming.resume();
    await once(incoming, 'end');
    sent.destroy();
    await once(response, 'close');
    await nothingLeft();
    t.false(response.writableFinished);
  });

  test(`${where}, who goes while the response streams stops the application`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call();
    sent.end();
    const { response } = await next();
    Readable.from(forever()).pipe(response);
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    await once(answer, 'data');
    answer.destroy();
    await once(response, 'close');
    await nothingLeft();
    t.pass();
  });

  test(`${where}, who goes in the middle of the request never looks as if it had sent all`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call('POST');
    sent.write('a part of');
    const { incoming } = await next();
    const [part] = await once(incoming, 'data');
    t.is(String(part), 'a part of');
    incoming.on('error', () => {});
    const gone = new Promise((resolve) => incoming.once('close', resolve));
    sent.destroy();
    await gone;
    t.false(incoming.complete);
    await nothingLeft();
  });

  test(`${where}, an application that breaks off its response breaks it off at the caller`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call();
    sent.end();
    const { response } = await next();
    response.write('a part of');
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    const broken = once(answer, 'error');
    response.destroy();
    await broken;
    t.false(answer.complete);
    await nothingLeft();
  });

  test(`${where}, an answer to half a request ends the request, and nothing is left`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call('PUT');
    sent.write(Buffer.alloc(300_000));
    const { incoming, response } = await next();
    await once(incoming, 'readable');
    response.writeHead(413).end('too much');
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    t.is(answer.statusCode, 413);
    answer.resume();
    await once(answer, 'end');
    sent.destroy();
    await nothingLeft();
  });

  test(`${where}, an answer to a whole request that the application never read leaves nothing`, async (t) => {
    const { call, next, nothingLeft } = await start(t, oneAgent);
    const sent = call('PUT');
    sent.end(Buffer.alloc(12 * 1024 * 1024));
    const { response } = await next();
    response.end('not interested');
    const [answer] = (await once(sent, 'response')) as [IncomingMessage];
    answer.resume();
    await once(answer, 'end');
    sent.destroy();
    await nothingLeft();
    t.pass();
  });
}

async function* forever() {
  for (;;) yield Buffer.alloc(16 * 1024);
}
