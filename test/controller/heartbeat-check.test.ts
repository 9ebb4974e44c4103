/** What anybody may send in the place of heartbeats, and what the controller keeps of it. */
import test from 'ava';
import { createHeartbeatCheck } from '../../src/controller/heartbeat-check.ts';
import { WeftError } from '../../src/protocol/errors.ts';
import { type Heartbeat, heartbeatText } from '../../src/protocol/heartbeat.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import { createRoot, readRoot } from '../../src/protocol/root.ts';
import { heartbeatSubject } from '../../src/protocol/subjects.ts';
import { createRootKeyring } from '../kit/root-keyring.ts';

const NOW = 1_800_000_000_000;
const SUBJECT = heartbeatSubject('shop', 'web-1');

/** A check that counts how often it reads an introduction. */
function checked() {
  const { seed } = createRoot();
  const rootKey = verificationKey(readRoot(seed).publicKey);
  let reads = 0;
  const roots = () => {
    reads += 1;
    return rootKey;
  };
  const check = createHeartbeatCheck(
    roots,
    'shop',
    () => NOW,
    () => false,
  );
  const keyring = createRootKeyring({
    rootSeed: seed,
    mesh: 'shop',
    agent: 'web-1',
    workloads: [],
    now: () => NOW,
  });
  const beat: Heartbeat = {
    version: 1,
    mesh: 'shop',
    agent: 'web-1',
    session: '0123456789abcdef',
    sequence: 1,
    timeMs: NOW,
    release: '0.0.0',
    leaving: false,
    workloads: [],
  };
  const statement = keyring.sign('weft-heartbeat', beat);
  const send = (text: string) => check(SUBJECT, Buffer.from(text, 'latin1'));
  return { keyring, statement, send, reads: () => reads };
}

test('an introduction is read once, and kept only when its agent has signed what comes with it', (t) => {
  const { keyring, statement, send, reads } = checked();
  const { document } = keyring;
  const forged = `${statement.slice(0, -86)}${'A'.repeat(86)}`;
  for (let count = 0; count < 3; count++) {
    t.throws(() => send(heartbeatText(document, forged)), { instanceOf: WeftError });
  }
  t.is(reads(), 3, 'nothing was kept');
  for (let count = 0; count < 3; count++) {
    t.is(send(heartbeatText(document, statement)).identity.agent, 'web-1');
  }
  t.is(reads(), 4);
});

test('a heartbeat with more in it than was signed is none', (t) => {
  const { keyring, statement, send } = checked();
  for (const more of ['', 'x', 'J'.repeat(10_000), 'J'.repeat(400_000)]) {
    t.throws(() => send(heartbeatText(`${keyring.document}~${more}`, statement)), {
      instanceOf: WeftError,
      message: /^introduction: /,
    });
  }
});
