import test from 'ava';
import { createAuthorizers } from '../../../src/protocol/authorization/authorizer.ts';
import { Subject } from '../../../src/protocol/authorization/subject.ts';
import { audits, decide, MESH_TARGET, policy, request, said, snapshotOf } from './policies.ts';

const get = request('GET /x');

test('without policies nothing is decided, and the snapshot says nothing of it', (t) => {
  const snapshot = snapshotOf([]);
  t.is(snapshot.authorization, undefined);
  t.is(said(snapshot, get), 'nothing');
});

test('the default of the mesh decides where no ALLOW policy is about the service', (t) => {
  t.is(said(snapshotOf([], 'deny'), get), 'DENY mesh default-deny');
  t.deepEqual(decide(snapshotOf([], 'deny'), get), {
    action: 'DENY',
    service: 'orders.default',
    policy: 'mesh',
    rule: 'default-deny',
    revision: 42,
  });
  const other = [{ to: [{ methods: ['PUT'] }] }];
  t.is(said(snapshotOf([policy('p', 'DENY', other)]), get), 'ALLOW mesh default-allow');
  t.is(said(snapshotOf([policy('p', 'AUDIT', other)], 'deny'), get), 'DENY mesh default-deny');
});

test('a DENY that matches comes before every ALLOW', (t) => {
  const snapshot = snapshotOf([
    policy('a', 'ALLOW', [{}]),
    policy('z', 'DENY', [{ name: 'no', to: [{ paths: ['/x'] }] }]),
  ]);
  t.is(said(snapshot, get), 'DENY default/z no');
  t.is(said(snapshot, request('GET /y')), 'ALLOW default/a 0');
  t.is(decide(snapshot, get)?.revision, 7);
});

test('once there is an ALLOW policy, what none of them matches is denied whatever the default is', (t) => {
  const policies = [
    policy('a', 'ALLOW', [{ to: [{ methods: ['GET'] }] }]),
    policy('b', 'ALLOW', [{ to: [{ methods: ['PUT'] }] }]),
  ];
  t.is(said(snapshotOf(policies), request('POST /x')), 'DENY mesh no-allow-matches');
  t.is(said(snapshotOf(policies, 'deny'), request('PUT /x')), 'ALLOW default/b 0');
  t.is(said(snapshotOf([policy('none', 'ALLOW', [])]), get), 'DENY mesh no-allow-matches');
});

test('a policy about the mesh holds for every service, and one about another service does not', (t) => {
  const other = { kind: 'Service', name: 'users' };
  t.is(said(snapshotOf([policy('m', 'DENY', [{}], MESH_TARGET, 'ops')]), get), 'DENY ops/m 0');
  t.is(snapshotOf([policy('o', 'DENY', [{}], other)]).authorization, undefined);
  const there = { kind: 'Service', name: 'orders', namespace: 'default' };
  t.is(said(snapshotOf([policy('f', 'DENY', [{}], there, 'ops')]), get), 'DENY ops/f 0');
});

test('AUDIT says which of its policies match, once each, and changes nothing', (t) => {
  const rules = [{ to: [{ paths: ['/x'] }] }, { name: 'second' }];
  const snapshot = snapshotOf([
    policy('a', 'AUDIT', rules),
    policy('b', 'AUDIT', [{ to: [{ methods: ['PUT'] }] }]),
  ]);
  t.deepEqual(
    audits(snapshot, get).map(({ policy: by, rule }) => `${by} ${rule}`),
    ['default/a 0'],
  );
  t.deepEqual(
    audits(snapshot, request('PUT /y')).map(({ policy: by, rule }) => `${by} ${rule}`),
    ['default/a second', 'default/b 0'],
  );
  t.is(said(snapshot, request('GET /x%2Fy')), 'ALLOW mesh default-allow');
  t.is(audits(snapshot, request('GET /x%2Fy'))[0]?.rule, '0', 'a path that nobody can be sure of is told of');
});

const ID = 'spiffe://shop/ns';
for (const [from, fitting, others] of [
  [{ services: ['checkout'] }, ['checkout.default'], ['checkout.prod', 'web.default', null]],
  [{ services: ['checkout.prod'] }, ['checkout.prod'], ['checkout.default']],
  [{ namespaces: ['prod'] }, ['web.prod', 'checkout.prod'], ['checkout.default', null]],
  [{ notNamespaces: ['prod'] }, ['web.default'], ['web.prod', null]],
  [{ principals: [`${ID}/prod/sa/*`] }, ['web.prod'], ['web.default', 'web.prod2', null]],
  [{ principals: ['*/sa/web'] }, ['web.prod', 'web.default'], ['webs.prod', 'checkout.default', null]],
  [{ principals: [`${ID}/default/sa/web`] }, ['web.default'], ['web.prod', 'webs.default']],
  [{ principals: ['*'] }, ['web.default'], [null]],
  [{ principals: ['anonymous'] }, [null], ['web.default']],
  [{ principals: ['*'], notPrincipals: ['*/sa/web'] }, ['checkout.default'], ['web.default', null]],
  [{ notPrincipals: ['*/sa/web'] }, ['checkout.default'], ['web.prod', null]],
  [{ namespaces: ['prod'], services: ['web.prod', 'web.default'] }, ['web.prod'], ['web.default', 'a.prod']],
] as const) {
  test(`ALLOW from ${JSON.stringify(from)} is about ${fitting.join(' ')} and not ${others.join(' ')}`, (t) => {
    const snapshot = snapshotOf([policy('p', 'ALLOW', [{ from: [from] }])]);
    for (const caller of fitting)
      t.is(decide(snapshot, request('GET /', {}, caller))?.action, 'ALLOW', String(caller));
    for (const caller of others)
      t.is(decide(snapshot, request('GET /', {}, caller))?.action, 'DENY', String(caller));
  });
}

test('who has no identity is let in only by a rule that names anonymous', (t) => {
  const nobody = request('GET /', {}, null);
  t.is(said(snapshotOf([policy('p', 'ALLOW', [{}])]), nobody), 'DENY mesh no-allow-matches');
  t.is(
    said(snapshotOf([policy('p', 'DENY', [{ to: [{ paths: ['/y'] }] }])]), nobody),
    'DENY mesh no-identity',
  );
  const named = [{ from: [{ principals: ['anonymous', '*'] }] }];
  t.is(said(snapshotOf([policy('p', 'ALLOW', named)], 'deny'), nobody), 'ALLOW default/p 0');
});

test('a DENY of all but some is about those without identity too', (t) => {
  const nobody = request('GET /', {}, null);
  for (const from of [{ notNamespaces: ['default'] }, { notPrincipals: ['*'] }]) {
    const allow = policy('a', 'ALLOW', [{ from: [{ principals: ['anonymous'] }] }]);
    t.is(said(snapshotOf([allow, policy('d', 'DENY', [{ from: [from] }])]), nobody), 'DENY default/d 0');
  }
});

const twice = (line: string, name: string, ...values: string[]) => {
  const asked = request(line);
  return { ...asked, fields: [...asked.fields, ...values.flatMap((value) => [name, value])] };
};

for (const [what, rule, fitting, others] of [
  ['methods', { to: [{ methods: ['GET'] }] }, [request('GET /')], [request('HEAD /'), request('POST /')]],
  ['notMethods', { to: [{ notMethods: ['GET'] }] }, [request('POST /')], [request('GET /')]],
  [
    'paths',
    { to: [{ paths: ['/o/{id}', '/p/*'] }] },
    [request('GET /o/1?x'), request('GET /p/a/b')],
    [request('GET /o')],
  ],
  [
    'notPaths',
    { to: [{ notPaths: ['/p/*'] }] },
    [request('GET /o'), request('OPTIONS *')],
    [request('GET /p/x')],
  ],
  ['ports', { to: [{ ports: [81] }] }, [request('GET /', { host: 'orders:81' })], [request('GET /')]],
  [
    'a header',
    { to: [{ headers: [{ name: 'X-A' }] }] },
    [request('GET /', { 'x-a': '' })],
    [request('GET /')],
  ],
  [
    'no header',
    { to: [{ headers: [{ name: 'x-a', present: false }] }] },
    [request('GET /')],
    [request('GET /', { 'x-a': '1' })],
  ],
  [
    'values of a header',
    { to: [{ headers: [{ name: 'x-a', values: ['1', '2'] }] }] },
    [request('GET /', { 'x-a': '2' })],
    [request('GET /', { 'x-a': '3' }), request('GET /')],
  ],
  [
    'conditions',
    {
      when: [
        { header: 'X-A', values: ['1'] },
        { header: 'x-b', notValues: ['1'] },
      ],
    },
    [request('GET /', { 'x-a': '1' }), request('GET /', { 'x-a': '1', 'x-b': '2' })],
    [request('GET /', { 'x-a': '1', 'x-b': '1' }), request('GET /')],
  ],
  [
    'all that one entry says',
    { to: [{ methods: ['GET'], paths: ['/x'] }, { methods: ['PUT'] }] },
    [request('GET /x'), request('PUT /y')],
    [request('GET /y')],
  ],
  [
    'a value that is not ASCII',
    { when: [{ header: 'x-a', values: ['é'] }] },
    [request('GET /', { 'x-a': '\xc3\xa9' })],
    [],
  ],
] as const) {
  test(`${what} are compared alike by ALLOW and by DENY`, (t) => {
    const allow = snapshotOf([policy('p', 'ALLOW', [rule])]);
    const deny = snapshotOf([policy('p', 'DENY', [rule])]);
    for (const asked of fitting) {
      t.deepEqual([decide(allow, asked)?.action, decide(deny, asked)?.action], ['ALLOW', 'DENY']);
    }
    for (const asked of others) {
      t.deepEqual([decide(allow, asked)?.action, decide(deny, asked)?.action], ['DENY', 'ALLOW']);
    }
  });
}

test('what applications may read in two ways is denied by both', (t) => {
  const header = { when: [{ header: 'x-role', values: ['admin'] }] };
  for (const [rule, asked] of [
    [header, twice('GET /', 'x-role', 'admin', 'user')],
    [{ when: [{ header: 'x-role', notValues: ['admin'] }] }, twice('GET /', 'x-role', 'admin', 'user')],
    [{ to: [{ methods: ['POST'] }] }, request('post /')],
    [{ to: [{ notMethods: ['POST'] }] }, request('post /')],
  ] as const) {
    t.is(decide(snapshotOf([policy('p', 'ALLOW', [rule])]), asked)?.action, 'DENY');
    t.is(decide(snapshotOf([policy('p', 'DENY', [rule])]), asked)?.action, 'DENY');
  }
});

test('a path of two readings is refused where a policy decides by paths, and nowhere else', (t) => {
  const asked = request('GET /a%2Fb?c=%2F');
  for (const to of [{ paths: ['/x'] }, { notPaths: ['/x'] }]) {
    for (const action of ['ALLOW', 'DENY'] as const) {
      const error = t.throws(() => decide(snapshotOf([policy('p', action, [{ to: [to] }])]), asked));
      t.like(error, { code: 'ambiguous_path' });
    }
  }
  t.is(
    said(snapshotOf([policy('p', 'ALLOW', [{ to: [{ methods: ['GET'] }] }])]), asked),
    'ALLOW default/p 0',
  );
});

test('what is sent on is the normal path, with the query as it was', (t) => {
  t.is(new Subject('shop', request('GET //a/%2e/b%2dc?x=//%2e')).normalTarget(), '/a/b-c?x=//%2e');
});

test('a snapshot is made ready once, and none at all decides by what it was told', (t) => {
  const snapshot = snapshotOf([], 'deny');
  const authorizers = createAuthorizers('allow');
  t.is(authorizers.of('orders.default', snapshot), authorizers.of('orders.default', snapshot));
  t.is(authorizers.of('orders.default', undefined), undefined);
  const refusing = createAuthorizers('deny').of('orders.default', undefined);
  t.like(refusing?.decide(new Subject('shop', get)), { action: 'DENY', rule: 'default-deny' });
});
