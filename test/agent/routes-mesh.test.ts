import test from 'ava';
import { ask, until } from '../kit/mesh.ts';
import { jsonOf, named, type RoutedMesh, servedBy, startRoutedMesh, to } from './routed-mesh.ts';

/** Whose routes hold for which requests (A9). */
let routes: RoutedMesh;

test.before(async () => {
  routes = await startRoutedMesh();
});
test.after.always(() => routes.stop());
test.beforeEach(() => routes.reset());

test.serial('A9.4 and A9.5: callers of a namespace with routes of its own use only these', async (t) => {
  const service = await routes.routed(
    t,
    { rules: [{ matches: [{ path: { value: '/p' } }], backendRefs: [to('v1')] }] },
    { rules: [{ backendRefs: [to('v2')] }], namespace: 'shop' },
  );
  const { front, shopFront } = routes;
  t.is((await ask(front.door, service, '/p')).headers['x-app'], 'v1');
  t.is((await ask(front.door, service, '/q')).status, 404);
  t.is((await ask(shopFront.door, service, '/p')).headers['x-app'], 'v2');
  t.is((await ask(shopFront.door, service, '/q')).headers['x-app'], 'v2');
});

test.serial('A9.2: a service without routes is reached as ever', async (t) => {
  t.is((await ask(routes.front.door, 'v1')).headers['x-app'], 'v1');
});

test.serial(
  'A9.1: routes of a backend are not applied to what another route sends it, nor are its own twice',
  async (t) => {
    const mark = (name: string) => ({
      type: 'RequestHeaderModifier',
      requestHeaderModifier: { add: [{ name: 'x-way', value: name }] },
    });
    await routes.publish(t, 'v2.default', [{ rules: [{ filters: [mark('v2')], backendRefs: [to('v2')] }] }]);
    const service = await routes.routed(t, [{ filters: [mark('parent')], backendRefs: [to('v2')] }]);
    t.is(jsonOf(await ask(routes.front.door, service)).headers['x-way'], 'parent');
    t.is(jsonOf(await ask(routes.front.door, 'v2')).headers['x-way'], 'v2');
  },
);

test.serial('A9.2: a service whose last route is gone is reached as ever', async (t) => {
  await routes.publish(t, 'v1.default', [
    { rules: [named('only', { matches: [{ path: { value: '/a' } }] })] },
  ]);
  const served = () => servedBy(routes.front.door, 'v1', 'GET /a');
  await until(async () => (await served()) === 'only', 'the routes have arrived');
  t.is(await servedBy(routes.front.door, 'v1', 'GET /b'), 'no_route');
  await routes.publish(t, 'v1.default', []);
  const reached = async () => (await ask(routes.front.door, 'v1', '/b')).status === 200;
  await until(reached, 'the change has arrived');
  t.is((await ask(routes.front.door, 'v1', '/a')).headers['x-rule'], undefined);
});

test.serial(
  'A9.3: a parentRef with a port holds for requests to that port; those to another go on as ever',
  async (t) => {
    await routes.publish(t, 'v1.default', [
      { rules: [named('8080', {})], parent: { port: 8080 } },
      { rules: [named('all', {})], parent: {}, namespace: 'shop' },
    ]);
    const { front, shopFront } = routes;
    await until(
      async () => (await servedBy(front.door, 'v1:8080', 'GET /')) === '8080',
      'the change has arrived',
    );
    t.is((await ask(front.door, 'v1')).headers['x-rule'], undefined);
    t.is((await ask(front.door, 'v1')).status, 200);
    for (const port of ['', ':8080', ':1']) {
      t.is(await servedBy(shopFront.door, `v1.default${port}`, 'GET /'), 'all', port);
    }
  },
);

test.serial('A9.3: a sectionName is a port by its name', async (t) => {
  const ports = [
    { name: 'http', port: 80 },
    { name: 'admin', port: 9000 },
  ];
  const declared = {
    apiVersion: 'weft.dev/v1',
    kind: 'Service',
    metadata: { name: 'ported' },
    spec: { ports },
  };
  const rules = [named('admin', {})];
  await routes.publish(t, 'ported.default', [{ rules, parent: { sectionName: 'admin' } }], [declared]);
  t.is(await servedBy(routes.front.door, 'ported:9000', 'GET /'), 'admin');
  t.is(await servedBy(routes.front.door, 'ported', 'GET /'), 'no_endpoint');
});

test.serial('A9.5: consumer routes of one namespace are merged among themselves', async (t) => {
  const service = await routes.routed(
    t,
    { rules: [named('producer', {})] },
    { rules: [named('a', { matches: [{ path: { value: '/a' } }] })], namespace: 'shop', name: 'a' },
    { rules: [named('b', { matches: [{ path: { value: '/b' } }] })], namespace: 'shop', name: 'b' },
  );
  const at = (door: number, path: string) => servedBy(door, service, `GET ${path}`);
  const { front, shopFront } = routes;
  t.deepEqual([await at(shopFront.door, '/a'), await at(shopFront.door, '/b')], ['a', 'b']);
  t.is(await at(shopFront.door, '/c'), 'no_route');
  t.is(await at(front.door, '/c'), 'producer');
});

test.serial('A9.6: a backend may be in any namespace', async (t) => {
  const service = await routes.routed(t, { rules: [{ backendRefs: [to('v1')] }], namespace: 'shop' });
  t.is((await ask(routes.shopFront.door, service)).headers['x-app'], 'v1');
});

test.serial('A9.9: a service that nobody serves can be a parent: a pure frontend', async (t) => {
  const service = await routes.routed(t, [named('front', {})]);
  t.is(await servedBy(routes.front.door, service, 'GET /'), 'front');
});

test.serial(
  'A9.10: the service that is asked decides, by whichever of its names, and a foreign Host changes nothing',
  async (t) => {
    const service = await routes.routed(t, [named('mine', {})]);
    for (const name of [service, `${service}.svc`, `${service}.svc.cluster.local`, `${service}.mesh`]) {
      t.is(await servedBy(routes.front.door, name, 'GET /'), 'mine', name);
    }
    const foreign = await ask(routes.front.door, 'foreign.example', `http://${service}/x`);
    t.is(foreign.headers['x-rule'], 'mine');
  },
);

/** A rule for `path` with one filter. */
const filtered = (path: string, filter: object) => ({
  matches: [{ path: { value: path } }],
  filters: [filter],
  backendRefs: [to('v1')],
});
const redirecting = (path: string, requestRedirect: object) => ({
  matches: [{ path: { value: path } }],
  filters: [{ type: 'RequestRedirect', requestRedirect }],
});

test.serial('A9.11: what the Mesh profile names works through two agents, each by its feature', async (t) => {
  const set = [{ name: 'x-backend', value: 'v1' }];
  const marked = { type: 'RequestHeaderModifier', requestHeaderModifier: { set } };
  const prefix = { type: 'ReplacePrefixMatch', replacePrefixMatch: '/new' };
  const service = await routes.routed(t, [
    filtered('/old', { type: 'URLRewrite', urlRewrite: { path: prefix } }),
    redirecting('/scheme', { scheme: 'https' }),
    redirecting('/port', { port: 8083 }),
    redirecting('/path', { path: { type: 'ReplaceFullPath', replaceFullPath: '/there' } }),
    { matches: [{ path: { value: '/marked' } }], backendRefs: [to('v1', { filters: [marked] })] },
    named('by-query', { matches: [{ queryParams: [{ name: 'animal', value: 'whale' }] }] }),
    named('named', { name: 'mine', matches: [{ path: { value: '/named' } }] }),
  ]);
  const at = (path: string) => ask(routes.front.door, service, path);
  const location = async (path: string) => {
    const { status, headers } = await at(path);
    return `${status} ${headers.location}`;
  };
  t.is(jsonOf(await at('/old/x?y=1')).url, '/new/x?y=1', 'MeshHTTPRouteRewritePath');
  t.is(await location('/scheme/x'), `302 https://${service}/scheme/x`, 'MeshHTTPRouteSchemeRedirect');
  t.is(await location('/port/x'), `302 http://${service}:8083/port/x`, 'MeshHTTPRouteRedirectPort');
  t.is(await location('/path/x'), `302 http://${service}/there`, 'MeshHTTPRouteRedirectPath');
  const modified = 'MeshHTTPRouteBackendRequestHeaderModification';
  t.is(jsonOf(await at('/marked')).headers['x-backend'], 'v1', modified);
  const byQuery = await servedBy(routes.front.door, service, 'GET /?animal=whale');
  t.is(byQuery, 'by-query', 'MeshHTTPRouteQueryParamMatching');
  t.is(await servedBy(routes.front.door, service, 'GET /named'), 'named', 'MeshHTTPRouteNamedRouteRule');
  t.is(await servedBy(routes.front.door, service, 'GET /?animal=hydra'), 'no_route');
});
