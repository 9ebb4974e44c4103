import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Endpoint } from '../../src/protocol/endpoint-list.ts';
import type { Revision } from '../../src/protocol/revision.ts';
import { createRoot, type Root, readRoot } from '../../src/protocol/root.ts';
import { signDocument, signingKey } from '../../src/protocol/signed-document.ts';
import type { Match, RouteSet, Rule, Snapshot } from '../../src/protocol/snapshot.ts';
import { startNats, type TestNats } from '../kit/nats-server.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';
import { type Answers, fakeController } from './fake-controller.ts';

let nats: TestNats;
test.before(async () => {
  nats = await startNats();
});
test.after.always(() => nats.stop());

const NONE: RouteSet = { rules: [], matches: [] };
const anything: Omit<Match, 'rule'> = { path: { type: 'PathPrefix', value: '/' }, headers: [], query: [] };

function rule(index: number, more: Partial<Rule> = {}): Rule {
  const backends = [{ service: 'orders.default', weight: 1, filters: [] }];
  return { route: 'default/orders', index, filters: [], backends, timeouts: {}, ...more };
}

/** What a mesh publishes: snapshots and endpoint lists by service. */
interface Published {
  readonly producer?: RouteSet;
  readonly consumers?: Readonly<Record<string, RouteSet>>;
  /** Agents of each service; `ready` unless a state is given. */
  readonly endpoints: Readonly<Record<string, Readonly<Record<string, Endpoint['state']>>>>;
  /** To sign with other than the root. */
  readonly by?: Root;
  /** Snapshots that say something else than routes, by name. */
  readonly others?: Readonly<Record<string, Partial<Snapshot>>>;
  /** Agents that hold another snapshot of `orders.default`. */
  readonly differing?: readonly { readonly agent: string; readonly revision: Revision }[];
}

async function published(t: ExecutionContext, given: Published, more: Answers = {}) {
  const { producer, consumers, endpoints, by, others = {}, differing } = given;
  const controller = await fakeController(t, nats.url, {
    ...more,
    snapshot: ({ service }) => {
      const base = { version: 1, mesh: controller.mesh, service, revision: [1, 12] };
      const key = signingKey(by ?? controller.root);
      const routes =
        service === 'orders.default' ? { producer: producer ?? NONE, consumers: consumers ?? {} } : undefined;
      const snapshot = { ...base, producer: NONE, consumers: {}, ...routes, ...others[service] };
      const is = routes !== undefined || others[service] !== undefined;
      const agents = Object.entries(endpoints[service] ?? {}).map(([agent, state]) => {
        const seed = { rootSeed: seedOf(controller.folder), mesh: controller.mesh, agent };
        const keyring = createRootKeyring({ ...seed, workloads: [service], now: Date.now });
        return { agent, state, labels: {}, document: keyring.document };
      });
      const list = { ...base, endpoints: agents };
      return {
        snapshot: is ? signDocument(key, 'weft-snapshot', snapshot) : null,
        endpoints: endpoints[service] === undefined ? null : signDocument(key, 'weft-endpoints', list),
        ...(service === 'orders.default' && differing !== undefined ? { differing } : {}),
      };
    },
  });
  return controller;
}

function seedOf(folder: string): string {
  return readFileSync(join(folder, '.weft', 'root.nk'), 'utf8').trim();
}

test('explain names the rule that wins, why the others do not, and where the request goes', async (t) => {
  const { weft } = await published(t, {
    producer: {
      rules: [
        rule(0),
        rule(1, {
          name: 'testers',
          filters: [
            { type: 'RequestMirror', mirror: { service: 'shadow.default', fraction: 0.5 } },
            { type: 'URLRewrite', rewrite: { path: { type: 'ReplaceFullPath', value: '/new' } } },
          ],
          backends: [
            { service: 'orders-v1.default', weight: 3, filters: [] },
            { service: 'orders-v2.default', weight: 1, filters: [] },
            { service: 'gone.default', weight: 0, filters: [], invalid: 'BackendNotFound' },
          ],
          timeouts: { requestMs: 2_000 },
          retry: { codes: [503], attempts: 2, backoffMs: 10 },
          session: { type: 'Cookie', name: 'sid', path: '/', permanent: false },
        }),
      ],
      matches: [
        { ...anything, rule: 1, method: 'POST' },
        { ...anything, rule: 1, headers: [{ type: 'Exact', name: 'x-tester', value: 'yes' }] },
        { ...anything, rule: 0 },
      ],
    },
    endpoints: {
      'orders-v1.default': { 'app-1': 'ready', 'app-2': 'unhealthy' },
      'orders-v2.default': { 'app-3': 'draining' },
    },
  });
  const args = ['explain', 'get', 'http://orders/v1/x?y=1', '-H', 'X-Tester: yes', '--from', 'checkout'];
  const { code, stdout, stderr } = await weft(args);
  t.is(code, 0, stderr);
  t.is(
    stdout,
    `request   GET /v1/x?y=1, host orders
from      checkout.default
service   orders.default
snapshot  revision 12, signed by the root
routes    of the service, 3 matches

rules considered, in the order of precedence
     #  RULE                   MATCH                            VERDICT
     1  default/orders rule 1  any path, method POST            method GET is not POST
  >  2  default/orders rule 1  any path, header x-tester = yes  matches
     3  default/orders rule 0  any path                         matches, but comes later

winner    default/orders rule 1 (testers)
filter    RequestMirror: 50 % to shadow.default
filter    URLRewrite: path /new
session   cookie sid at /; one that is alive goes on where it began, whatever the weights
timeouts  2000 ms for all of it, no limit for each try
retries   2 more after connection errors and status 503, at least 10 ms apart

backends
  orders-v1.default  weight 3, 75 % of the requests
    is asked for /new?y=1; copies may go to shadow.default
    ENDPOINT  STATE      CAN BE PICKED
    app-1     ready      yes
    app-2     unhealthy  no: it is unhealthy
  orders-v2.default  weight 1, 25 % of the requests
    is asked for /new?y=1; copies may go to shadow.default
    ENDPOINT  STATE     CAN BE PICKED
    app-3     draining  no: it is draining
    none of them can be picked: the bus is asked all the same. If nobody serves it, the agent answers 503 no_endpoint at once; if only an agent that hangs does, 503 not_accepted after 2 s
  gone.default  weight 0, 0 % of the requests
    invalid  BackendNotFound`,
  );
  const json = JSON.parse((await weft([...args, '-o', 'json'])).stdout);
  t.like(json, { service: 'orders.default', routes: 'producer', rule: { index: 1 }, revision: [1, 12] });
  t.is(json.endpoints['orders-v1.default'].length, 2);
});

test('without routes the endpoints of the service itself are asked', async (t) => {
  const { weft } = await published(t, { endpoints: { 'orders.default': { 'app-1': 'ready' } } });
  const { code, stdout } = await weft(['explain', 'GET', 'orders']);
  t.is(code, 0);
  t.regex(stdout, /^routes +none attached/m);
  t.regex(stdout, /^ {4}app-1 +ready +yes$/m);
  t.regex(stdout, /^timeouts +15000 ms to the response head/m);
});

test('an alias is told as the step that it is, and its service is explained', async (t) => {
  const { weft, asked } = await published(t, {
    others: { 'buy.example.com': { aliasOf: 'orders.default' } },
    endpoints: { 'orders.default': { 'app-1': 'ready' } },
  });
  const { code, stdout, stderr } = await weft(['explain', 'GET', 'http://buy.example.com:8080/x']);
  t.is(code, 0, stderr);
  t.regex(stdout, /^alias +buy\.example\.com is an alias of orders\.default\nservice +orders\.default$/m);
  t.regex(stdout, /^request +GET \/x, host buy\.example\.com$/m);
  t.regex(stdout, /^ {4}app-1 +ready +yes$/m);
  t.deepEqual(
    asked.map(({ request }) => (request as { service: string }).service),
    ['buy.example.com', 'orders.default'],
  );
});

test('who may not reach a service, or a backend, is told so', async (t) => {
  const own = await published(t, {
    others: { 'orders.default': { exposure: 'namespace' } },
    endpoints: { 'orders.default': { 'app-1': 'ready' } },
  });
  const args = ['explain', 'GET', 'http://orders.default/', '--from'];
  t.is((await own.weft([...args, 'checkout.default'])).code, 0);
  const refused = await own.weft([...args, 'checkout.shop']);
  t.is(refused.code, 1);
  t.regex(refused.stdout, /^result +the agent answers 403 denied: orders\.default has exposure: namespace/m);

  const backend = await published(t, {
    producer: {
      rules: [rule(0, { backends: [{ service: 'inner.default', weight: 1, filters: [] }] })],
      matches: [{ ...anything, rule: 0 }],
    },
    others: { 'inner.default': { exposure: 'namespace' } },
    endpoints: { 'inner.default': { 'app-1': 'ready' } },
  });
  const denied = await backend.weft([...args, 'checkout.shop']);
  t.is(denied.code, 1);
  t.regex(denied.stdout, /^ +the agent answers 403 denied: inner\.default has exposure: namespace/m);
  t.is((await backend.weft([...args, 'checkout.default'])).code, 0);
});

test('callers of a namespace with routes of its own get these', async (t) => {
  const { weft } = await published(t, {
    producer: { rules: [rule(0)], matches: [{ ...anything, rule: 0 }] },
    consumers: { shop: { rules: [rule(0, { route: 'shop/mine' })], matches: [{ ...anything, rule: 0 }] } },
    endpoints: { 'orders.default': { 'app-1': 'ready' } },
  });
  const args = ['explain', 'GET', 'http://orders.default/', '--from'];
  t.regex((await weft([...args, 'checkout.shop'])).stdout, /^winner +shop\/mine rule 0$/m);
  t.regex((await weft([...args, 'checkout'])).stdout, /^winner +default\/orders rule 0$/m);
});

test('what the mesh would refuse is told with its error, and exit code 1', async (t) => {
  const route = (path: string, more: Partial<Rule> = {}): RouteSet => ({
    rules: [rule(0, more)],
    matches: [{ ...anything, rule: 0, path: { type: 'Exact', value: path } }],
  });
  const elsewhere = await published(t, { producer: route('/other'), endpoints: {} });
  const unmatched = await elsewhere.weft(['explain', 'GET', 'http://orders/x']);
  t.is(unmatched.code, 1);
  t.regex(unmatched.stdout, /path "\/x" is not exactly "\/other"/);
  t.regex(unmatched.stdout, /^result +the agent answers 404 no_route/m);

  const backends = [{ service: 'x.default', weight: 1, filters: [], invalid: 'BackendNotFound' }];
  const invalid = await published(t, { producer: route('/x', { backends }), endpoints: {} });
  const refused = await invalid.weft(['explain', 'GET', 'http://orders/x']);
  t.is(refused.code, 1);
  t.regex(refused.stdout, /the agent answers 500 invalid_backend: .*BackendNotFound/);

  const idle = await published(t, { endpoints: { 'orders.default': {} } });
  const unserved = await idle.weft(['explain', 'GET', 'http://orders/x']);
  t.is(unserved.code, 1);
  t.regex(
    unserved.stdout,
    /no endpoints: the bus is asked .* 503 no_endpoint at once; .* 503 not_accepted after 2 s/,
  );
});

test('a filter that answers is told with its answer', async (t) => {
  const redirect = { type: 'RequestRedirect', redirect: { hostname: 'elsewhere', status: 302 } } as const;
  const { weft } = await published(t, {
    producer: {
      rules: [rule(0, { filters: [redirect], backends: [] })],
      matches: [{ ...anything, rule: 0 }],
    },
    endpoints: {},
  });
  const { code, stdout } = await weft(['explain', 'GET', 'http://orders/x']);
  t.is(code, 0);
  t.regex(stdout, /^result +a filter answers with status 302, location http:\/\/elsewhere\/x$/m);
});

test('what the root has not signed explains nothing', async (t) => {
  const by = readRoot(createRoot().seed);
  const { weft } = await published(t, { by, endpoints: {} });
  const { code, stdout, stderr } = await weft(['explain', 'GET', 'http://orders/x']);
  t.is(code, 1);
  t.is(stdout, '');
  t.regex(
    stderr,
    /^weft: orders\.default: snapshot document: not signed by the root of this mesh; agents refuse/,
  );
});

test('a request that no door would take is a matter of usage', async (t) => {
  const { weft } = await published(t, { endpoints: {} });
  for (const args of [
    ['GET', 'http://orders/a b'],
    ['GET', 'https://orders/'],
    ['GET', 'http://a.b.c.d/'],
    ['GET', 'http://orders/', '-H', 'no colon'],
    ['GET', 'http://orders/', '--from', 'Not_A_Service'],
  ]) {
    t.is((await weft(['explain', ...args])).code, 2, args.join(' '));
  }
});

test('a caller that nobody announces is told as that, also to programs', async (t) => {
  const controller = await published(
    t,
    { endpoints: { 'orders.default': { 'app-1': 'ready' } } },
    {
      services: ({ service }) =>
        service === 'checkout.default'
          ? { items: [{ service, revision: null, endpoints: 1, ready: 1, routes: [] }] }
          : { code: 'not_found', message: `service ${service} is not known` },
    },
  );
  const from = async (service: string, ...more: readonly string[]) =>
    (await controller.weft(['explain', 'GET', 'http://orders/', '--from', service, ...more])).stdout;
  t.regex(await from('checkout'), /^from {6}checkout\.default$/m);
  t.regex(
    await from('chekout'),
    /^from {6}chekout\.default: nobody announces that service; it only calls others, or /m,
  );
  t.false(JSON.parse(await from('chekout', '-o', 'json')).fromAnnounced);
});

test('explain says which agents hold another snapshot than the one that it goes by', async (t) => {
  const differing = [
    { agent: 'app-1', revision: [1, 7] as const },
    { agent: 'app-2', revision: [1, 13] as const },
  ];
  const { weft } = await published(t, { endpoints: { 'orders.default': { 'app-1': 'ready' } }, differing });
  const { stdout } = await weft(['explain', 'GET', 'http://orders/']);
  t.regex(
    stdout,
    /^differing app-1 \(revision 7\), app-2 \(revision 13\): another snapshot of orders\.default than the published one/m,
  );
});
