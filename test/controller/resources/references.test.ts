import test from 'ava';
import { checkReferences } from '../../../src/controller/resources/references.ts';
import { type Resource, resourceKey } from '../../../src/controller/resources/resource.ts';
import { fieldName } from '../../../src/protocol/config-fault.ts';
import { backend, route, ruleRoute, rules, service, toService, valid } from './routes.ts';

const KNOWN = new Set(['orders.default', 'users.default']);
const stored = (...resources: Resource[]) =>
  new Map(resources.map((resource) => [resourceKey(resource), resource]));

function check(changed: Resource[], all: Resource[] = []) {
  const { faults, warnings } = checkReferences(changed, stored(...all), KNOWN);
  return {
    faults: faults.map(
      ({ path, found, expected }) => `${fieldName(path)}: found ${found}, expected ${expected}`,
    ),
    warnings: warnings.map(({ path, message }) => `${fieldName(path)}: ${message}`),
  };
}

test('what is known and usual is neither fault nor warning', (t) => {
  const good = rules({
    backendRefs: [backend('users')],
    retry: { codes: [503] },
    matches: [{ method: 'GET' }],
  });
  t.deepEqual(check([good]), { faults: [], warnings: [] });
});

test('A5: a backend that is not there is a warning that says what was meant', (t) => {
  t.deepEqual(check([rules({ backendRefs: [backend('user')] })]).warnings, [
    'spec.rules[0].backendRefs[0]: user.default is not known (is users.default meant?): until then its share of the requests gets 500',
  ]);
  t.regex(
    check([rules({ backendRefs: [{ ...backend('b'), kind: 'Bucket', group: 'x.dev' }] })]).warnings[0] ?? '',
    /is no Service/,
  );
});

test('A4: a mirror that is not there is a warning', (t) => {
  const mirror = rules({
    filters: [{ type: 'RequestMirror', requestMirror: { backendRef: backend('nowhere') } }],
  });
  t.regex(
    check([mirror]).warnings[0] ?? '',
    /nowhere\.default is not known.*: until then nothing is mirrored/,
  );
});

test('a service that comes with the same apply is known', (t) => {
  t.deepEqual(check([rules({ backendRefs: [backend('new')] }), service('new')]).warnings, []);
});

test('A9: hostnames on a mesh route are a warning', (t) => {
  t.regex(
    check([route({ hostnames: ['a.example'], rules: [{}] })]).warnings[0] ?? '',
    /^spec\.hostnames: host names are not matched/,
  );
});

test('A7: codes for methods that are not idempotent are a warning', (t) => {
  const retry = { codes: [503] };
  t.regex(check([rules({ retry })]).warnings[0] ?? '', /POST included/);
  t.regex(
    check([rules({ retry, matches: [{ method: 'GET' }, { method: 'POST' }] })]).warnings[0] ?? '',
    /POST included/,
  );
  t.deepEqual(check([rules({ retry: { attempts: 2 } })]).warnings, []);
});

test('A10: a route whose only parents are Gateways is refused; beside a service they are a warning', (t) => {
  const gateway = { name: 'gw' };
  t.regex(
    check([route({ parentRefs: [gateway] })]).faults[0] ?? '',
    /^spec\.parentRefs\[0\]\.kind: found Gateway, expected Service/,
  );
  const both = check([route({ parentRefs: [gateway, toService('orders')] })]);
  t.deepEqual(both, {
    faults: [],
    warnings: ['spec.parentRefs[0]: Gateway gw is no part of this mesh and gets no status'],
  });
});

test('A1: a parent of kind Service without group "" is refused, because the group defaults to that of Gateways', (t) => {
  t.deepEqual(check([route({ parentRefs: [{ kind: 'Service', name: 'orders' }] })]).faults, [
    'spec.parentRefs[0].group: found nothing, expected "", the group of Service',
  ]);
});

test('a route without parents, and one to an unknown service, are warnings', (t) => {
  t.regex(check([route({ parentRefs: [] })]).warnings[0] ?? '', /attached to nothing/);
  t.regex(check([route({ parentRefs: [toService('order')] })]).warnings[0] ?? '', /is orders\.default meant/);
});

test('A9: a parent port that the service does not have is a warning', (t) => {
  const ports = service('orders', { ports: [{ port: 80, name: 'http' }] });
  const on = (more: object) => check([route({ parentRefs: [toService('orders', more)] })], [ports]).warnings;
  t.deepEqual(on({ port: 81 }), ['spec.parentRefs[0]: not attached: orders.default has no port 81']);
  t.deepEqual(on({ sectionName: 'grpc' }), [
    'spec.parentRefs[0]: not attached: orders.default has no port named grpc',
  ]);
  t.deepEqual(on({ sectionName: 'http' }), []);
});

test('A8: sessions need no warning', (t) => {
  t.deepEqual(check([rules({ sessionPersistence: { cookie: {} } })]), { faults: [], warnings: [] });
});

test('A4 and A5: what has no support, or no effect, is a warning', (t) => {
  const extension = { type: 'ExtensionRef', extensionRef: { group: 'x.dev', kind: 'Thing', name: 'a' } };
  t.regex(
    check([rules({ filters: [extension] })]).warnings[0] ?? '',
    /ExtensionRef x\.dev\/Thing a is not supported/,
  );
  t.regex(
    check([rules({ backendRefs: [backend('orders', { weight: 0 })] })]).warnings[0] ?? '',
    /all weights are 0/,
  );
});

test('A4: an authorization service that is not there, or that speaks gRPC, is a warning', (t) => {
  const auth = (protocol: 'HTTP' | 'GRPC', name: string) =>
    rules({
      filters: [
        {
          type: 'ExternalAuth',
          externalAuth: { protocol, [protocol.toLowerCase()]: {}, backendRef: backend(name) },
        },
      ],
    });
  t.deepEqual(check([auth('HTTP', 'users')]), { faults: [], warnings: [] });
  t.deepEqual(check([auth('HTTP', 'user')]).warnings, [
    'spec.rules[0].filters[0].externalAuth.backendRef: user.default is not known (is users.default meant?): until then the requests get 500',
  ]);
  t.deepEqual(check([auth('GRPC', 'users')]).warnings, [
    'spec.rules[0].filters[0]: ExternalAuth with protocol GRPC is not supported: the requests get 500',
  ]);
});

test('two services with one alias are refused, stored or in one apply', (t) => {
  const a = service('a', { aliases: ['shop.example'] });
  const b = service('b', { aliases: ['shop.example'] });
  const fault =
    'spec.aliases[0]: found "shop.example", expected a name that is not an alias of a.default already';
  t.deepEqual(check([b], [a]).faults, [fault]);
  t.is(check([a, b]).faults.length, 2);
  t.deepEqual(check([a], [a]).faults, []);
  t.deepEqual(check([service('a'), b], [a]).faults, [], 'the alias has moved');
});

test('an alias that is the name of another service is refused', (t) => {
  for (const alias of ['orders', 'orders.default', 'orders.mesh', 'orders.default.svc']) {
    t.is(check([service('a', { aliases: [alias] })]).faults.length, 1, alias);
  }
  t.deepEqual(check([service('orders', { aliases: ['orders.mesh'] })]).faults, []);
});

test('one alias written in two ways is one, and the same words in two namespaces are two', (t) => {
  const a = service('a', { aliases: ['store'] });
  t.is(check([service('b', { aliases: ['store.default.svc'] })], [a]).faults.length, 1);
  t.deepEqual(check([service('b', { aliases: ['store'] }, 'shop')], [a]).faults, []);
});

test('a Service and a route cannot have the name that is an alias of another service', (t) => {
  const a = service('a', { aliases: ['store'] });
  t.deepEqual(check([service('store')], [a]).faults, [
    'metadata.name: found "store", expected a name that is not an alias of a.default already',
  ]);
  const frontend = route({ parentRefs: [toService('store')] });
  t.deepEqual(check([frontend], [a]).faults, [
    'spec.parentRefs[0].name: found "store", expected a.default, of which store.default is an alias: routes are attached to services',
  ]);
  t.deepEqual(check([a], [frontend]).faults, [
    'spec.aliases[0]: found "store", expected a name without routes: HTTPRoute default/route is attached to store.default',
  ]);
});

test('the same resource twice is refused', (t) => {
  t.regex(check([service('a'), service('a')]).faults[0] ?? '', /service\.default\.a again/);
  t.deepEqual(check([service('a'), valid(ruleRoute({}))]).faults, []);
});

test('a policy for an unknown service, and two for one service, are warnings', (t) => {
  const policy = (name: string, target: string) =>
    valid({
      apiVersion: 'weft.dev/v1',
      kind: 'TrafficPolicy',
      metadata: { name },
      spec: { targetRef: { kind: 'Service', name: target } },
    });
  t.regex(check([policy('p', 'order')]).warnings[0] ?? '', /is orders\.default meant/);
  t.regex(
    check([policy('p', 'orders')], [policy('q', 'orders')]).warnings[0] ?? '',
    /default\/q has the same target/,
  );
});

test('a Service whose ports change tells which stored routes lose something by it', (t) => {
  const ports = (...numbers: number[]) => ({ ports: numbers.map((port) => ({ port, name: `p${port}` })) });
  const [before, after] = [service('users', ports(80, 81)), service('users', ports(81))];
  const sends = rules({ backendRefs: [backend('users')] });
  const attached = route({ parentRefs: [{ ...toService('users'), sectionName: 'p80' }], rules: [{}] });
  const renamed = { ...attached, metadata: { ...attached.metadata, name: 'attached' } };
  t.deepEqual(check([after], [before, sends, renamed]).warnings, [
    `spec.ports: HTTPRoute default/${sends.metadata.name}: users.default has no port 80: what it sends there gets 500`,
    'spec.ports: HTTPRoute default/attached: it is attached no more: users.default has no port named p80',
  ]);
  t.deepEqual(check([before], [before, sends, renamed]).warnings, []);
  t.deepEqual(
    check([after], [after, sends, renamed]).warnings,
    [],
    'what was broken before is not told again',
  );
});
