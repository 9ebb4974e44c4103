/** A publisher of heartbeats that nobody has signed, in a process of its own: some ten thousand a second, until it is ended. */
import { setTimeout as wait } from 'node:timers/promises';
import { connect } from '@nats-io/transport-node';
import { headerOf } from '../../src/protocol/signed-document.ts';
import { heartbeatSubject } from '../../src/protocol/subjects.ts';

/** Many times what can be checked, and not so many that nothing else runs on this machine. */
const ROUND_MS = 10;

const [url, mesh, ...agents] = process.argv.slice(2) as [string, string, ...string[]];
const connection = await connect({ servers: url });
const claims = Buffer.from(JSON.stringify({ version: 1, text: 'x'.repeat(500) })).toString('base64url');
const forged = (['weft-identity', 'weft-session', 'weft-heartbeat'] as const)
  .map((type) => `${headerOf(type)}.${claims}.${'A'.repeat(86)}`)
  .join('~');
process.stdin.resume().once('end', () => process.exit(0));
for (let round = 0; ; round++) {
  for (const agent of agents) {
    for (let count = 0; count < 50; count++) connection.publish(heartbeatSubject(mesh, agent), forged);
  }
  // Names that nobody has.
  for (let count = 0; count < 50; count++) {
    connection.publish(heartbeatSubject(mesh, `stranger-${round % 1_000}-${count}`), forged);
  }
  await connection.flush();
  await wait(ROUND_MS);
  if (round === 0) process.stdout.write('flooding\n');
}
