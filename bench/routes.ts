import { RouteBook } from '../src/agent/outbound/route-book.ts';
import { compileService } from '../src/controller/compile/compile-service.ts';
import { createCompileIndex } from '../src/controller/compile/resource-graph.ts';
import type { Resource } from '../src/controller/resources/resource.ts';
import type { Snapshot } from '../src/protocol/snapshot.ts';
import { median } from './statistics.ts';
import { figure, tableText } from './table.ts';

/**
 * `node bench/routes.ts`: what finding the rule of a request costs, by how many services have routes and by how many rules a
 * service has. The sizes take turns; the ratios are to the first of each table in the same round.
 */
const LOOKUPS = 200_000;
const ROUNDS = 9;
const USED = 20;
const RULES_OF_A_ROUTE_MAX = 16;

/** Three routes a service, unless `rules` says how many rules it has in routes of at most 16. */
function routesOf(service: string, rules: number): Resource[] {
  const routes: Resource[] = [];
  for (let first = 0; first < rules; first += RULES_OF_A_ROUTE_MAX) {
    const count = Math.min(RULES_OF_A_ROUTE_MAX, rules - first);
    routes.push(routeOf(service, `${service}-${first}`, first, count));
  }
  return routes;
}

function routeOf(service: string, name: string, first: number, count: number): Resource {
  const rules = Array.from({ length: count }, (_, at) => ({
    matches: [{ path: { type: 'PathPrefix', value: `/api/v${first + at}` } }],
    backendRefs: [{ name: service, port: 80 }],
  }));
  return {
    apiVersion: 'gateway.networking.k8s.io/v1',
    kind: 'HTTPRoute',
    metadata: { name, namespace: 'default' },
    spec: { parentRefs: [{ group: '', kind: 'Service', name: service }], rules },
  };
}

function bookOf(services: number, routes: (service: string) => Resource[]) {
  const names = Array.from({ length: services }, (_, at) => `service-${at}`);
  const known = new Set(names.map((name) => `${name}.default`));
  const startedMs = performance.now();
  const index = createCompileIndex(names.flatMap(routes));
  const snapshots = new Map<string, Snapshot>();
  for (const service of known) {
    snapshots.set(service, compileService(service, index, known, { mesh: 'bench', epoch: 1, revision: 1 }));
  }
  const compiledMs = performance.now() - startedMs;
  const wanted = new Set<string>();
  const book = new RouteBook(
    {
      want: (service) => void wanted.add(service),
      known: (service) => wanted.has(service),
      get: (service) => snapshots.get(service),
      drop: (service) => void wanted.delete(service),
      watch() {},
    },
    () => 0,
  );
  const used = [...known].filter((_, at) => at % Math.ceil(services / USED) === 0).slice(0, USED);
  for (const service of used) book.knows(service);
  return { book, used, compiledMs, held: wanted.size };
}

function nanosecondsOf({ book, used }: ReturnType<typeof bookOf>, path: string): number {
  const request = { method: 'GET', path, query: '', fields: ['accept', '*/*'], port: 80 };
  const started = process.hrtime.bigint();
  let found = 0;
  for (let count = 0; count < LOOKUPS; count++) {
    const table = book.tableOf(used[count % used.length] as string, 'default');
    if (table?.find(request) !== undefined) found += 1;
  }
  if (found !== LOOKUPS) throw new Error(`${LOOKUPS - found} look-ups found no rule`);
  return Number(process.hrtime.bigint() - started) / LOOKUPS;
}

function compare(
  title: string,
  books: readonly {
    readonly label: string;
    readonly book: ReturnType<typeof bookOf>;
    readonly path: string;
  }[],
): void {
  const rounds = Array.from({ length: ROUNDS + 1 }, () =>
    books.map(({ book, path }) => nanosecondsOf(book, path)),
  );
  // The first round is what the compiler learns from.
  const measured = rounds.slice(1);
  const rows = books.map(({ label, book }, at) => [
    label,
    figure(median(measured.map((round) => round[at]!))),
    `${figure(median(measured.map((round) => round[at]! / round[0]!)))}×`,
    String(book.held),
    figure(book.compiledMs),
  ]);
  process.stdout.write(
    `${tableText([title, 'ns a look-up', 'to the first', 'held', 'compiled in ms'], rows)}\n\n`,
  );
}

const threeRoutes = (service: string) => [0, 1, 2].map((at) => routeOf(service, `${service}-${at}`, at, 1));
compare(
  'services, 3 routes each',
  [10, 1_000, 10_000].map((size) => ({
    label: String(size),
    book: bookOf(size, threeRoutes),
    path: '/api/v1/x',
  })),
);
compare(
  'rules of one service',
  [1, 10, 100, 1_000].map((rules) => ({
    label: String(rules),
    book: bookOf(1, (service) => routesOf(service, rules)),
    path: `/api/v${rules - 1}/x`,
  })),
);
