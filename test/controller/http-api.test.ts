import { once } from 'node:events';
import { request } from 'node:http';
import test, { type ExecutionContext } from 'ava';
import { listenHttpApi } from '../../src/controller/api/http-api.ts';
import { until } from '../kit/mesh.ts';
import { MESH, route, startControlPlane } from './control-plane.ts';

async function startHttp(t: ExecutionContext) {
  const plane = await startControlPlane(t);
  const { controller } = await plane.add();
  await until(() => controller.leading, 'it leads');
  const http = await listenHttpApi({ host: '127.0.0.1', port: 0, mesh: MESH, release: '0.0.0', controller });
  t.teardown(http.close);
  const ask = (path: string, init?: RequestInit) => fetch(`http://127.0.0.1:${http.port}${path}`, init);
  const jose = { 'content-type': 'application/jose' };
  return { ...plane, controller, http, ask, jose };
}

test('the verbs are the same over HTTP', async (t) => {
  const { ask, sign, jose } = await startHttp(t);
  const body = sign('apply', { resources: [route('orders', 'orders.default', 'a')] });
  const applied = await ask('/api/apply', { method: 'POST', headers: jose, body });
  t.is(applied.status, 200);
  t.is((await ask('/api/apply', { method: 'POST', headers: jose, body })).status, 403, 'once');
  const got = (await (await ask('/api/get')).json()) as { ok: true; response: { items: unknown[] } };
  t.is(got.response.items.length, 1);
  const one = await ask('/api/get', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name":"other"}',
  });
  t.is(one.status, 404);
  const wrong = await ask('/api/history', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"kind":"HTTPRoute","nmae":"x"}',
  });
  t.is(wrong.status, 422);
  t.regex(await wrong.text(), /nmae: found an unknown field, expected one of kind, namespace, name/);
});

test('what changes something has to be signed, and is never a GET', async (t) => {
  const { ask, jose } = await startHttp(t);
  t.is((await ask('/api/apply')).status, 405);
  const plain = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{"resources":[]}' };
  t.is((await ask('/api/apply', plain)).status, 415);
  t.is((await ask('/api/apply', { method: 'POST', headers: jose, body: '{"resources":[]}' })).status, 403);
  t.is(
    (await ask('/api/get', { method: 'POST', body: '{}' })).status,
    415,
    'nor may a form of a web page ask',
  );
  t.is((await ask('/api/frobnicate')).status, 404);
  const huge = { method: 'POST', headers: jose, body: 'x'.repeat(3 * 1024 * 1024) };
  t.true(
    [413, 0].includes(
      await ask('/api/apply', huge).then(
        ({ status }) => status,
        () => 0,
      ),
    ),
  );
});

test('probes, metrics and the OpenAPI document', async (t) => {
  const { ask, controller } = await startHttp(t);
  t.is((await ask('/livez')).status, 200);
  const readiness = await ask('/readyz');
  t.is(readiness.status, 200);
  t.like(await readiness.json(), { ready: true, state: 'leading', pid: process.pid });
  t.regex(await (await ask('/metrics')).text(), /weft_controller_leading 1/);
  const document = (await (await ask('/api/openapi.json')).json()) as {
    openapi: string;
    paths: Record<string, object>;
    components: { schemas: Record<string, object> };
  };
  t.is(document.openapi, '3.1.0');
  t.deepEqual(
    Object.keys(document.paths).sort(),
    controller.api.schema.verbs.map((verb) => `/api/${verb}`).sort(),
  );
  for (const [, name] of JSON.stringify(document).matchAll(/"#\/components\/schemas\/([^"]+)"/g)) {
    t.truthy(document.components.schemas[name!], name);
  }
});

test('a page of the web that has its name lead here is sent away', async (t) => {
  const { http } = await startHttp(t);
  const sent = request({
    host: '127.0.0.1',
    port: http.port,
    path: '/api/get',
    headers: { host: 'evil.example' },
  });
  sent.end();
  const [response] = await once(sent, 'response');
  response.resume();
  t.is(response.statusCode, 421);
});
