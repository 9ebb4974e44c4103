import test from 'ava';
import {
  backend,
  faultsOf,
  filterRoute,
  matchRoute,
  rawRoute,
  ruleRoute,
  said,
  toService,
} from './routes.ts';

const times = <T>(n: number, make: (at: number) => T): T[] => Array.from({ length: n }, (_, at) => make(at));
const path = (value: string, type?: string) => matchRoute({ path: { value, ...(type ? { type } : {}) } });
const header = (more: object) => matchRoute({ headers: [{ name: 'x', value: 'y', ...more }] });
const query = (more: object) => matchRoute({ queryParams: [{ name: 'x', value: 'y', ...more }] });
const modifier = (requestHeaderModifier: object) =>
  filterRoute({ type: 'RequestHeaderModifier', requestHeaderModifier });
const redirect = (requestRedirect: object) => filterRoute({ type: 'RequestRedirect', requestRedirect });
const rewrite = (urlRewrite: object) => ({ type: 'URLRewrite', urlRewrite });
const mirror = (more: object) =>
  filterRoute({ type: 'RequestMirror', requestMirror: { backendRef: backend('b'), ...more } });
const cors = (more: object) => filterRoute({ type: 'CORS', cors: more });
const origin = (text: string) => cors({ allowOrigins: [text] });
const auth = (more: object) =>
  filterRoute({ type: 'ExternalAuth', externalAuth: { backendRef: backend('b'), ...more } });
const backends = (...backendRefs: object[]) => ruleRoute({ backendRefs });
const session = (sessionPersistence: object) => ruleRoute({ sessionPersistence });
const prefixRewrite = rewrite({ path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } });
const prefixMatch = { path: { type: 'PathPrefix', value: '/a' } };

/** [claim, resource, the field that a fault has to name] */
const REJECTED: readonly (readonly [string, object, string])[] = [
  ['rules []', rawRoute({ rules: [] }), 'spec.rules'],
  ['17 rules', rawRoute({ rules: times(17, () => ({})) }), 'spec.rules'],
  ['65 matches in a rule', ruleRoute({ matches: times(65, () => ({})) }), 'matches'],
  ['7x20 matches', rawRoute({ rules: times(7, () => ({ matches: times(20, () => ({})) })) }), 'spec.rules'],
  ['duplicate rule names', rawRoute({ rules: [{ name: 'a' }, { name: 'a' }] }), 'rules[1].name'],
  ['a rule name that is no subdomain', ruleRoute({ name: 'A_b' }), 'rules[0].name'],
  ['a rule name over 253', ruleRoute({ name: times(64, () => 'aaaa').join('.') }), 'rules[0].name'],
  ['17 hostnames', rawRoute({ hostnames: times(17, (at) => `h${at}.x`) }), 'hostnames'],
  ...['http://a<', 'a.*.b', '*', 'Upper.x', 'a.x.', 'a.x:80', '1.2.3.4', 'a'.repeat(64)].map(
    (hostname) => [`hostname ${hostname}`, rawRoute({ hostnames: [hostname] }), 'hostnames[0]'] as const,
  ),
  ['33 parentRefs', rawRoute({ parentRefs: times(33, (at) => toService(`s${at}`)) }), 'parentRefs'],
  [
    'one parent with and without a port',
    rawRoute({ parentRefs: [toService('a'), toService('a', { port: 80 })] }),
    'parentRefs[1]',
  ],
  [
    'one parent twice',
    rawRoute({ parentRefs: [toService('a'), toService('a', { namespace: 'default' })] }),
    'parentRefs[1]',
  ],
  [
    'one parent twice with the same port',
    rawRoute({ parentRefs: [toService('a', { port: 80 }), toService('a', { port: 80 })] }),
    'parentRefs[1]',
  ],
  ['parentRef.port 0', rawRoute({ parentRefs: [toService('a', { port: 0 })] }), 'parentRefs[0].port'],
  ['parentRef.port 65536', rawRoute({ parentRefs: [toService('a', { port: 65536 })] }), 'parentRefs[0].port'],
  ['an empty parent name', rawRoute({ parentRefs: [toService('')] }), 'parentRefs[0].name'],
  ['a parent name over 253', rawRoute({ parentRefs: [toService('a'.repeat(254))] }), 'parentRefs[0].name'],
  [
    'a parent namespace that is no label',
    rawRoute({ parentRefs: [toService('a', { namespace: 'a.b' })] }),
    'parentRefs[0].namespace',
  ],
  [
    'a parent namespace over 63',
    rawRoute({ parentRefs: [toService('a', { namespace: 'a'.repeat(64) })] }),
    'parentRefs[0].namespace',
  ],
  ['parent kind *', rawRoute({ parentRefs: [{ group: '', kind: '*', name: 'a' }] }), 'parentRefs[0].kind'],
  [
    'parent group *',
    rawRoute({ parentRefs: [{ group: '*', kind: 'Service', name: 'a' }] }),
    'parentRefs[0].group',
  ],
  ...[
    '',
    'a',
    '/a//b',
    '/a/./b',
    '/a/../b',
    '/a%2fb',
    '/a%2Fb',
    '/a#b',
    '/a/.',
    '/a/..',
    '/[]',
    '/my[/]path01',
    '/^',
    '/a?b',
    '/a b',
    '/a%zz',
    `/${'a'.repeat(1024)}`,
  ].flatMap((value) => [
    [`prefix ${value.slice(0, 20)}`, path(value), 'path.value'] as const,
    [`exact path ${value.slice(0, 20)}`, path(value, 'Exact'), 'path.value'] as const,
  ]),
  ['path type Prefix', path('/a', 'Prefix'), 'path.type'],
  ['a path pattern that is none', path('(', 'RegularExpression'), 'path.value'],
  [
    '17 header matches',
    matchRoute({ headers: times(17, (at) => ({ name: `h${at}`, value: 'x' })) }),
    'headers',
  ],
  [
    '17 query matches',
    matchRoute({ queryParams: times(17, (at) => ({ name: `q${at}`, value: 'x' })) }),
    'queryParams',
  ],
  [
    'a header name twice',
    matchRoute({
      headers: [
        { name: 'a', value: 'x' },
        { name: 'a', value: 'y' },
      ],
    }),
    'headers[1].name',
  ],
  [
    'a param name twice',
    matchRoute({
      queryParams: [
        { name: 'a', value: 'x' },
        { name: 'a', value: 'y' },
      ],
    }),
    'queryParams[1].name',
  ],
  ...['', 'a'.repeat(257), 'magic/', ':method', 'a b'].flatMap((name) => [
    [`header name ${name.slice(0, 20)}`, header({ name }), 'headers[0].name'] as const,
    [`param name ${name.slice(0, 20)}`, query({ name }), 'queryParams[0].name'] as const,
  ]),
  ['an empty header value', header({ value: '' }), 'headers[0].value'],
  ['a header value over 4096', header({ value: 'a'.repeat(4097) }), 'headers[0].value'],
  ...['a\rb', 'a\nb', 'a\u0000b', ' a', 'a ', 'a  b'].map(
    (value) => [`header value ${JSON.stringify(value)}`, header({ value }), 'headers[0].value'] as const,
  ),
  ['an empty query value', query({ value: '' }), 'queryParams[0].value'],
  ['a query value over 1024', query({ value: 'a'.repeat(1025) }), 'queryParams[0].value'],
  ['header match type Prefix', header({ type: 'Prefix' }), 'headers[0].type'],
  ['query match type Prefix', query({ type: 'Prefix' }), 'queryParams[0].type'],
  ['method get', matchRoute({ method: 'get' }), 'method'],
  ['method NOTREAL', matchRoute({ method: 'NOTREAL' }), 'method'],
  ['a filter without type', filterRoute({ cors: {} }), 'filters[0].type'],
  ['a filter of unknown type', filterRoute({ type: 'Nothing' }), 'filters[0].type'],
  ['a filter without its member', filterRoute({ type: 'CORS' }), 'filters[0].cors'],
  [
    'a filter with the member of another',
    filterRoute({ type: 'RequestHeaderModifier', requestHeaderModifier: {}, requestRedirect: {} }),
    'filters[0].type',
  ],
  [
    '17 filters',
    filterRoute(...times(17, () => ({ type: 'RequestMirror', requestMirror: { backendRef: backend('b') } }))),
    'filters',
  ],
  [
    'redirect and rewrite',
    filterRoute({ type: 'RequestRedirect', requestRedirect: {} }, rewrite({})),
    'filters[1].type',
  ],
  [
    'redirect and rewrite of a backend',
    backends(backend('b', { filters: [rewrite({}), { type: 'RequestRedirect', requestRedirect: {} }] })),
    'backendRefs[0].filters[1].type',
  ],
  ...(
    [
      ['RequestHeaderModifier', 'requestHeaderModifier'],
      ['ResponseHeaderModifier', 'responseHeaderModifier'],
      ['RequestRedirect', 'requestRedirect'],
      ['URLRewrite', 'urlRewrite'],
      ['CORS', 'cors'],
    ] as const
  ).flatMap(([type, member]) => [
    [`two ${type}`, filterRoute({ type, [member]: {} }, { type, [member]: {} }), 'filters[1].type'] as const,
    [
      `two ${type} of a backend`,
      backends(
        backend('b', {
          filters: [
            { type, [member]: {} },
            { type, [member]: {} },
          ],
        }),
      ),
      'backendRefs[0].filters[1].type',
    ] as const,
  ]),
  ...(['set', 'add'] as const).flatMap((list) => [
    [
      `17 headers to ${list}`,
      modifier({ [list]: times(17, (at) => ({ name: `h${at}`, value: 'x' })) }),
      `Modifier.${list}`,
    ] as const,
    [
      `a name twice in ${list}`,
      modifier({
        [list]: [
          { name: 'a', value: 'x' },
          { name: 'a', value: 'y' },
        ],
      }),
      `${list}[1].name`,
    ] as const,
    [
      `an empty value to ${list}`,
      modifier({ [list]: [{ name: 'a', value: '' }] }),
      `${list}[0].value`,
    ] as const,
    [
      `a line end to ${list}`,
      modifier({ [list]: [{ name: 'a', value: 'a\r\nb: c' }] }),
      `${list}[0].value`,
    ] as const,
    [
      `a value over 4096 to ${list}`,
      modifier({ [list]: [{ name: 'a', value: 'a'.repeat(4097) }] }),
      `${list}[0].value`,
    ] as const,
    [
      `a name over 256 to ${list}`,
      modifier({ [list]: [{ name: 'a'.repeat(257), value: 'a' }] }),
      `${list}[0].name`,
    ] as const,
    [
      `a framing header to ${list}`,
      modifier({ [list]: [{ name: 'Content-Length', value: '1' }] }),
      `${list}[0].name`,
    ] as const,
  ]),
  ['17 headers to remove', modifier({ remove: times(17, (at) => `h${at}`) }), 'remove'],
  ['remove [foo, foo]', modifier({ remove: ['foo', 'foo'] }), 'remove[1]'],
  [
    'one name in set and add',
    modifier({ set: [{ name: 'a', value: 'x' }], add: [{ name: 'a', value: 'y' }] }),
    'add[0].name',
  ],
  [
    'names that differ in case',
    modifier({
      set: [
        { name: 'a', value: 'x' },
        { name: 'A', value: 'y' },
      ],
    }),
    'set[1].name',
  ],
  ['redirect to ftp', redirect({ scheme: 'ftp' }), 'requestRedirect.scheme'],
  ['redirect with 304', redirect({ statusCode: 304 }), 'requestRedirect.statusCode'],
  ['redirect to port 0', redirect({ port: 0 }), 'requestRedirect.port'],
  ['redirect to port 65536', redirect({ port: 65536 }), 'requestRedirect.port'],
  ['redirect to *.x', redirect({ hostname: '*.x' }), 'requestRedirect.hostname'],
  ['redirect to UPPER', redirect({ hostname: 'UPPER' }), 'requestRedirect.hostname'],
  ['rewrite to *.x', filterRoute(rewrite({ hostname: '*.x' })), 'urlRewrite.hostname'],
  ['a path modifier of unknown type', filterRoute(rewrite({ path: { type: 'Replace' } })), 'path.type'],
  [
    'a path modifier without its field',
    filterRoute(rewrite({ path: { type: 'ReplaceFullPath' } })),
    'path.replaceFullPath',
  ],
  [
    'a path modifier with the other field',
    filterRoute(
      rewrite({ path: { type: 'ReplaceFullPath', replaceFullPath: '/', replacePrefixMatch: '/' } }),
    ),
    'path.type',
  ],
  [
    'a path modifier over 1024',
    filterRoute(rewrite({ path: { type: 'ReplaceFullPath', replaceFullPath: `/${'a'.repeat(1024)}` } })),
    'path.replaceFullPath',
  ],
  [
    'ReplacePrefixMatch with two matches',
    ruleRoute({ matches: [prefixMatch, prefixMatch], filters: [prefixRewrite] }),
    'urlRewrite.path.type',
  ],
  [
    'ReplacePrefixMatch with Exact',
    ruleRoute({ matches: [{ path: { type: 'Exact', value: '/a' } }], filters: [prefixRewrite] }),
    'urlRewrite.path.type',
  ],
  [
    'ReplacePrefixMatch with RegularExpression',
    ruleRoute({ matches: [{ path: { type: 'RegularExpression', value: '/a' } }], filters: [prefixRewrite] }),
    'urlRewrite.path.type',
  ],
  [
    'a redirect with ReplacePrefixMatch and Exact',
    ruleRoute({
      matches: [{ path: { type: 'Exact', value: '/a' } }],
      filters: [
        {
          type: 'RequestRedirect',
          requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } },
        },
      ],
    }),
    'requestRedirect.path.type',
  ],
  [
    'ReplacePrefixMatch in the second of two backends',
    ruleRoute({
      matches: [{ path: { type: 'Exact', value: '/a' } }],
      backendRefs: [backend('b', { filters: [prefixRewrite] }), backend('c', { filters: [prefixRewrite] })],
    }),
    'backendRefs[1].filters[0].urlRewrite.path.type',
  ],
  [
    'a redirect beside backends',
    ruleRoute({ filters: [{ type: 'RequestRedirect', requestRedirect: {} }], backendRefs: [backend('b')] }),
    'rules[0].backendRefs',
  ],
  ['a mirror with percent and fraction', mirror({ percent: 1, fraction: { numerator: 1 } }), 'requestMirror'],
  ['mirror percent -1', mirror({ percent: -1 }), 'percent'],
  ['mirror percent 101', mirror({ percent: 101 }), 'percent'],
  ['mirror numerator -1', mirror({ fraction: { numerator: -1 } }), 'numerator'],
  ['mirror denominator 0', mirror({ fraction: { numerator: 0, denominator: 0 } }), 'denominator'],
  ['mirror numerator over denominator', mirror({ fraction: { numerator: 3, denominator: 2 } }), 'numerator'],
  ['mirror numerator over the default denominator', mirror({ fraction: { numerator: 101 } }), 'numerator'],
  ['a mirror without backendRef', filterRoute({ type: 'RequestMirror', requestMirror: {} }), 'backendRef'],
  ['cors * beside an origin', cors({ allowOrigins: ['*', 'http://a'] }), 'cors.allowOrigins'],
  ['cors * beside a method', cors({ allowMethods: ['*', 'GET'] }), 'cors.allowMethods'],
  ['cors * beside a header', cors({ allowHeaders: ['*', 'x'] }), 'cors.allowHeaders'],
  ['cors with an origin twice', cors({ allowOrigins: ['http://a', 'http://a'] }), 'cors.allowOrigins'],
  ['cors with a method twice', cors({ allowMethods: ['GET', 'GET'] }), 'cors.allowMethods'],
  ['cors with a header twice', cors({ allowHeaders: ['x', 'x'] }), 'cors.allowHeaders'],
  ['65 cors origins', cors({ allowOrigins: times(65, (at) => `http://a${at}`) }), 'cors.allowOrigins'],
  [
    '10 cors methods',
    cors({
      allowMethods: ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'CONNECT', 'OPTIONS', 'TRACE', 'PATCH', '*'],
    }),
    'cors.allowMethods',
  ],
  ['65 cors headers', cors({ allowHeaders: times(65, (at) => `x${at}`) }), 'cors.allowHeaders'],
  ['65 exposed headers', cors({ exposeHeaders: times(65, (at) => `x${at}`) }), 'cors.exposeHeaders'],
  ['cors method BAZINGA', cors({ allowMethods: ['BAZINGA'] }), 'allowMethods[0]'],
  ['cors method get', cors({ allowMethods: ['get'] }), 'allowMethods[0]'],
  ['cors maxAge 0', cors({ maxAge: 0 }), 'maxAge'],
  ...[
    'xpto.com',
    'https://x:notaport',
    'http://x:111111',
    'http://x:',
    'http://x/cart',
    'spiffe://x',
    'http://*bar.com',
    'http://bar*.com',
    'http://bar.*.com',
    'http://*bar',
    'http://*.bar.*.dev',
    'xpto/https://x',
  ].map((text) => [`cors origin ${text}`, origin(text), 'allowOrigins[0]'] as const),
  ['externalAuth without protocol', auth({ http: {} }), 'externalAuth.protocol'],
  ['externalAuth of another protocol', auth({ protocol: 'TCP' }), 'externalAuth.protocol'],
  ['externalAuth without its member', auth({ protocol: 'HTTP' }), 'externalAuth.http'],
  [
    'externalAuth with the other member',
    auth({ protocol: 'HTTP', http: {}, grpc: {} }),
    'externalAuth.protocol',
  ],
  [
    'externalAuth without backendRef',
    filterRoute({ type: 'ExternalAuth', externalAuth: { protocol: 'HTTP', http: {} } }),
    'backendRef',
  ],
  ['externalAuth with a bad path', auth({ protocol: 'HTTP', http: { path: '/a b' } }), 'http.path'],
  [
    'externalAuth with maxSize -1',
    auth({ protocol: 'HTTP', http: {}, forwardBody: { maxSize: -1 } }),
    'maxSize',
  ],
  ['17 backends', backends(...times(17, (at) => backend(`b${at}`))), 'backendRefs'],
  ['a backend without name', backends({ port: 80 }), 'backendRefs[0].name'],
  ['a backend without port', backends({ name: 'b' }), 'backendRefs[0].port'],
  [
    'a backend of kind Service without port',
    backends({ name: 'b', kind: 'Service', group: '' }),
    'backendRefs[0].port',
  ],
  ['backend port 800080', backends(backend('b', { port: 800080 })), 'backendRefs[0].port'],
  ['backend port 0', backends(backend('b', { port: 0 })), 'backendRefs[0].port'],
  ['weight -1', backends(backend('b', { weight: -1 })), 'weight'],
  ['weight 1000001', backends(backend('b', { weight: 1_000_001 })), 'weight'],
  ['backend group *', backends(backend('b', { group: '*' })), 'backendRefs[0].group'],
  ['backend kind *', backends(backend('b', { kind: '*' })), 'backendRefs[0].kind'],
  ...['1', '', '0', '1d', '1.5h', '-15m', '100us', '500ns', '999999h', '1h1m1s1ms1h'].flatMap((text) => [
    [`timeout ${text}`, ruleRoute({ timeouts: { request: text } }), 'timeouts.request'] as const,
    [`backoff ${text}`, ruleRoute({ retry: { backoff: text } }), 'retry.backoff'] as const,
  ]),
  [
    'a backendRequest longer than the request',
    ruleRoute({ timeouts: { request: '1s', backendRequest: '1001ms' } }),
    'timeouts.backendRequest',
  ],
  ['retry code 399', ruleRoute({ retry: { codes: [399] } }), 'codes[0]'],
  ['retry code 600', ruleRoute({ retry: { codes: [600] } }), 'codes[0]'],
  ['a retry code twice', ruleRoute({ retry: { codes: [500, 500] } }), 'codes'],
  ['retry attempts 0', ruleRoute({ retry: { attempts: 0 } }), 'attempts'],
  [
    'Permanent without absoluteTimeout',
    session({ type: 'Cookie', cookie: { lifetimeType: 'Permanent' } }),
    'absoluteTimeout',
  ],
  ['type Cookie without cookie', session({ type: 'Cookie' }), 'cookie'],
  ['type Header without header', session({ type: 'Header' }), 'header'],
  [
    'cookie with type Header',
    session({ type: 'Header', header: { name: 'x' }, cookie: {} }),
    'sessionPersistence.type',
  ],
  [
    'header with type Cookie',
    session({ type: 'Cookie', cookie: {}, header: { name: 'x' } }),
    'sessionPersistence.type',
  ],
  ['a session header without name', session({ type: 'Header', header: {} }), 'header.name'],
  ['an empty cookie name', session({ cookie: { name: '' } }), 'cookie.name'],
  ['a cookie path over 1024', session({ cookie: { path: `/${'a'.repeat(1024)}` } }), 'cookie.path'],
  ['a hostname over 253', rawRoute({ hostnames: [times(64, () => 'aaaa').join('.')] }), 'hostnames[0]'],
  [
    'one parent with and without a sectionName',
    rawRoute({ parentRefs: [toService('a', { sectionName: 'http' }), toService('a')] }),
    'parentRefs[1]',
  ],
  [
    'one parent twice with the same sectionName',
    rawRoute({ parentRefs: times(2, () => toService('a', { sectionName: 'http' })) }),
    'parentRefs[1]',
  ],
  ['an exposed header twice', cors({ exposeHeaders: ['x', 'x'] }), 'cors.exposeHeaders'],
  ['a name over 256 to remove', modifier({ remove: ['a'.repeat(257)] }), 'remove[0]'],
  ['a framing header to remove', modifier({ remove: ['Transfer-Encoding'] }), 'remove[0]'],
  ['one name in add and remove', modifier({ add: [{ name: 'a', value: 'x' }], remove: ['A'] }), 'remove[0]'],
  [
    'a name twice in set of a response',
    filterRoute({
      type: 'ResponseHeaderModifier',
      responseHeaderModifier: { set: times(2, () => ({ name: 'a', value: 'x' })) },
    }),
    'responseHeaderModifier.set[1].name',
  ],
  ['rewrite to UPPER', filterRoute(rewrite({ hostname: 'UPPER' })), 'urlRewrite.hostname'],
  ['rewrite to a host with a port', filterRoute(rewrite({ hostname: 'a.x:80' })), 'urlRewrite.hostname'],
  [
    'ReplacePrefixMatch without its field',
    filterRoute(rewrite({ path: { type: 'ReplacePrefixMatch' } })),
    'path.replacePrefixMatch',
  ],
  ['a path modifier without type', filterRoute(rewrite({ path: { replaceFullPath: '/' } })), 'path.type'],
  [
    'a replacePrefixMatch over 1024',
    filterRoute(
      rewrite({ path: { type: 'ReplacePrefixMatch', replacePrefixMatch: `/${'a'.repeat(1024)}` } }),
    ),
    'path.replacePrefixMatch',
  ],
  ['timeout backendRequest 1d', ruleRoute({ timeouts: { backendRequest: '1d' } }), 'timeouts.backendRequest'],
  // What holds for the filters of a rule holds for those of a backend.
  ...(
    [
      [
        '17 filters',
        times(17, () => ({ type: 'RequestMirror', requestMirror: { backendRef: backend('b') } })),
        '',
      ],
      ['a filter without type', [{ cors: {} }], '[0].type'],
      ['a filter without its member', [{ type: 'CORS' }], '[0].cors'],
      ['a filter with the member of another', [{ type: 'CORS', cors: {}, urlRewrite: {} }], '[0].type'],
      [
        'one name in set and add',
        [
          {
            type: 'RequestHeaderModifier',
            requestHeaderModifier: { set: [{ name: 'a', value: 'x' }], add: [{ name: 'A', value: 'y' }] },
          },
        ],
        '[0].requestHeaderModifier.add[0].name',
      ],
      [
        'redirect to *.x',
        [{ type: 'RequestRedirect', requestRedirect: { hostname: '*.x' } }],
        '[0].requestRedirect.hostname',
      ],
      [
        'a mirror with percent and fraction',
        [
          {
            type: 'RequestMirror',
            requestMirror: { backendRef: backend('b'), percent: 1, fraction: { numerator: 1 } },
          },
        ],
        '[0].requestMirror',
      ],
      [
        'cors * beside an origin',
        [{ type: 'CORS', cors: { allowOrigins: ['*', 'http://a'] } }],
        '[0].cors.allowOrigins',
      ],
    ] as const
  ).map(
    ([claim, filters, field]) =>
      [`${claim} of a backend`, backends(backend('b', { filters })), `filters${field}`] as const,
  ),
  [
    'a redirect of a backend with ReplacePrefixMatch and two matches',
    ruleRoute({
      matches: [prefixMatch, { path: { type: 'PathPrefix', value: '/b' } }],
      backendRefs: [
        backend('b', {
          filters: [
            {
              type: 'RequestRedirect',
              requestRedirect: { path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '/x' } },
            },
          ],
        }),
      ],
    }),
    'requestRedirect.path.type',
  ],
  [
    'an unknown enum value (A3: it becomes a fault, not a crash)',
    matchRoute({ path: { type: 'Glob', value: '/' } }),
    'path.type',
  ],
];

for (const [claim, resource, field] of REJECTED) {
  test(`B: ${claim} is rejected`, (t) => {
    const faults = said(resource);
    t.true(
      faults.some((fault) => fault.split(': found ')[0]!.endsWith(field)),
      faults.join('\n') || 'it was accepted',
    );
    t.false(
      faults.some((fault) => /must |schema is false/.test(fault)),
      faults.join('\n'),
    );
  });
}

const ACCEPTED: readonly (readonly [string, object])[] = [
  ...['^/a.*$', '(a|b)+', '[/]', '//', '/a/../b', 'no slash', '%2F', '\\d{3}'].map(
    (value) => [`a RegularExpression path ${value}`, path(value, 'RegularExpression')] as const,
  ),
  ['a RegularExpression header with blanks', header({ type: 'RegularExpression', value: ' a  b ' })],
  ['a prefix with a slash at its end', path('/a/')],
  ['the prefix /', path('/')],
  ['a path with an escape', path('/a%20b')],
  [
    'an empty replacePrefixMatch',
    ruleRoute({
      matches: [prefixMatch],
      filters: [rewrite({ path: { type: 'ReplacePrefixMatch', replacePrefixMatch: '' } })],
    }),
  ],
  ['ReplacePrefixMatch in a rule without matches', filterRoute(prefixRewrite)],
  ['percent 0', mirror({ percent: 0 })],
  ['weight 0 everywhere', backends(backend('a', { weight: 0 }), backend('b', { weight: 0 }))],
  ['request 0s with any backendRequest', ruleRoute({ timeouts: { request: '0s', backendRequest: '1h' } })],
  ['backendRequest equal to request', ruleRoute({ timeouts: { request: '1s', backendRequest: '1000ms' } })],
  ['empty backendRefs', backends()],
  ['a rule with filters only', modifier({ set: [{ name: 'a', value: 'x' }] })],
  [
    'two parentRefs to one service with different ports',
    rawRoute({ parentRefs: [toService('a', { port: 80 }), toService('a', { port: 81 })] }),
  ],
  [
    'different names across set, add and remove',
    modifier({ set: [{ name: 'a', value: 'x' }], add: [{ name: 'b', value: 'x' }], remove: ['c'] }),
  ],
  ['unnamed rules beside named ones', rawRoute({ rules: [{}, { name: 'a' }, {}] })],
  [
    'a RegularExpression path with a ReplaceFullPath redirect',
    ruleRoute({
      matches: [{ path: { type: 'RegularExpression', value: '/a.*' } }],
      filters: [
        {
          type: 'RequestRedirect',
          requestRedirect: { path: { type: 'ReplaceFullPath', replaceFullPath: '/b' } },
        },
      ],
    }),
  ],
  ['2x48 matches', rawRoute({ rules: times(2, () => ({ matches: times(48, () => ({})) })) })],
  [
    '"foo" and "Foo" as headers',
    matchRoute({
      headers: [
        { name: 'foo', value: 'x' },
        { name: 'Foo', value: 'y' },
      ],
    }),
  ],
  [
    'a redirect in the filters of a backend',
    backends(backend('b', { filters: [{ type: 'RequestRedirect', requestRedirect: {} }] })),
  ],
  [
    'repeated mirrors',
    filterRoute(...times(2, () => ({ type: 'RequestMirror', requestMirror: { backendRef: backend('b') } }))),
  ],
  [
    'repeated extensions',
    filterRoute(
      ...times(2, (at) => ({
        type: 'ExtensionRef',
        extensionRef: { group: 'x.dev', kind: 'Thing', name: `t${at}` },
      })),
    ),
  ],
  ['an empty retry stanza', ruleRoute({ retry: {} })],
  ['another kind of backend without port', backends({ group: 'x.dev', kind: 'Bucket', name: 'b' })],
  ['a wildcard hostname', rawRoute({ hostnames: ['*.example.com'] })],
  ['fraction 0', mirror({ fraction: { numerator: 0 } })],
  ...['http://*.com', 'https://a.example:8443', '*', 'http://*'].map(
    (text) => [`cors origin ${text}`, origin(text)] as const,
  ),
  ...['1h30m', '01h', '1h2h', '0s', '99999h'].map(
    (text) => [`duration ${text}`, ruleRoute({ timeouts: { request: text } })] as const,
  ),
  ['rules left out (A1)', rawRoute({})],
  ['a cookie without type', session({ cookie: { name: 'sid' } })],
  [
    'a permanent cookie',
    session({ type: 'Cookie', absoluteTimeout: '1h', cookie: { lifetimeType: 'Permanent' } }),
  ],
];

for (const [claim, resource] of ACCEPTED) {
  test(`B accepts: ${claim}`, (t) => t.deepEqual(said(resource), []));
}

test('B: the patterns of the schema take linear time', (t) => {
  const started = process.cpuUsage().user;
  for (const value of [`${'a\t'.repeat(2_000)}\n`, `/${'a/'.repeat(500)}"`, `${'a-'.repeat(2_000)}!`]) {
    faultsOf(header({ value }));
    faultsOf(path(value));
    faultsOf(origin(`http://${value}`));
    faultsOf(rawRoute({ hostnames: [value] }));
  }
  t.true(process.cpuUsage().user - started < 2_000_000);
});
