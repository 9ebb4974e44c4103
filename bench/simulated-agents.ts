/**
 * `simulated-agents.ts URL MESH ROOTFILE COUNT`: agents that follow one service and report what they apply, each with a
 * connection of its own. Prints a line when all are there, and one for each change that all have applied.
 */
import { readFileSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { createAnnouncer } from '../src/agent/control/announcer.ts';
import { Publications } from '../src/agent/control/publications.ts';
import { type Bus, connectBus } from '../src/agent/link/bus.ts';
import type { Keyring } from '../src/protocol/keyring.ts';
import { readSnapshot } from '../src/protocol/read-snapshot.ts';
import { NO_REVISION } from '../src/protocol/revision.ts';
import type { Snapshot } from '../src/protocol/snapshot.ts';
import { createRootKeyring } from '../test/kit/root-keyring.ts';

const SERVICE = 'orders.default';
const BEAT_MS = 1_000;

const [url = '', mesh = '', rootFile = '', countText = '0'] = process.argv.slice(2);
const count = Number(countText);
const rootSeed = readFileSync(rootFile, 'utf8').trim();
const now = () => performance.now();

let messages = 0;
const appliedAtMs: number[] = [];

/** Counts what the bus brings of its own accord, heartbeats and requests apart. */
function counted(bus: Bus): Bus {
  return {
    get up() {
      return bus.up;
    },
    get payloadBytesMax() {
      return bus.payloadBytesMax;
    },
    publish: bus.publish.bind(bus),
    request: bus.request.bind(bus),
    flush: bus.flush.bind(bus),
    close: bus.close.bind(bus),
    subscribe: (subject, queue, deliver) =>
      bus.subscribe(subject, queue, (payload, heard, noResponders) => {
        messages += 1;
        deliver(payload, heard, noResponders);
      }),
  };
}

let verified: { readonly text: string; readonly payload: Readonly<Record<string, unknown>> } | undefined;

/** Each host verifies what it hears by itself; here all of them share a processor, so it is done once for all. */
function verifiedOnce({ open }: Keyring): Keyring['open'] {
  return (type, text, bytesMax) => {
    if (verified?.text !== text) verified = { text, payload: open(type, text, bytesMax) };
    return verified.payload;
  };
}

async function start(index: number): Promise<void> {
  const agent = `sim-${index}`;
  const own = createRootKeyring({ rootSeed, mesh, agent, workloads: [], now: Date.now });
  const keyring = { ...own, open: verifiedOnce(own) };
  const bus = counted(await connectBus({ servers: [url], name: agent }, { lost() {}, back() {} }));
  const publications = new Publications<Snapshot>({
    kind: 'snapshot',
    keyring,
    read: readSnapshot,
    disk: undefined,
    kept: new Set([SERVICE]),
    floor: () => NO_REVISION,
    now,
    random: Math.random,
    fault: (error) => process.stderr.write(`${agent}: ${error}\n`),
    refused: (_reason, details) => process.stderr.write(`${agent}: ${details}\n`),
  });
  const announcer = createAnnouncer({
    keyring,
    tooLarge: (bytes) => process.stderr.write(`${agent}: a heartbeat of ${bytes} bytes\n`),
    session: index.toString(16).padStart(16, '0'),
    release: 'bench',
    workloads: () => [],
    applied: () => publications.held(),
    heads: () => [],
    trust: () => undefined,
    wallMs: Date.now,
    now,
    delay: (ms, then) => {
      const timer = setTimeout(then, ms);
      return () => clearTimeout(timer);
    },
  });
  publications.watch(() => {
    appliedAtMs.push(Date.now());
    if (appliedAtMs.length === count)
      process.stdout.write(`${JSON.stringify({ appliedAtMs: appliedAtMs.splice(0) })}\n`);
    announcer.appliedChanged();
  });
  publications.attach(bus);
  announcer.attach(bus);
  // Spread over the second, as the beats of agents that were started by hand are.
  setTimeout(() => setInterval(() => announcer.beat(), BEAT_MS), Math.random() * BEAT_MS);
  await bus.flush();
}

for (let index = 0; index < count; index += 50) {
  const some = Array.from({ length: Math.min(50, count - index) }, (_, at) => start(index + at));
  await Promise.all(some);
}
const admin = await connect({ servers: [url] });
admin.subscribe('simulated.messages', {
  callback: (_error, message) => void message.respond(String(messages)),
});
await admin.flush();
process.stdout.write('there\n');
