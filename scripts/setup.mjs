// Brings what a bare checkout misses: Node >= 24, the npm dependencies, nats-server >= 2.10. Everything goes
// into the checkout (`.tools/`, `node_modules/`), nothing is changed on the machine.
// It has to run on Node 20 without any dependency, hence plain JavaScript.
//   S1 Each step looks first and does nothing if the thing is there.
//   S2 What is fetched is unpacked beside its place and renamed into it: a stopped set-up leaves nothing half done.
//   S3 `.tools/ready` is written last; scripts/node starts a set-up whenever it is missing or old.
import { mkdirSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { provideDependencies } from './setup/dependencies.mjs';
import { SetupError } from './setup/failure.mjs';
import { withLock } from './setup/lock.mjs';
import { provideNatsServer } from './setup/nats-server.mjs';
import { provideNode } from './setup/node-runtime.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const tools = join(root, '.tools');

/** @param {string} line */
const say = (line) => process.stderr.write(`set-up: ${line}\n`);

try {
  mkdirSync(tools, { recursive: true });
  await withLock(join(tools, 'lock'), say, async () => {
    removeLeftovers();
    const node = provideNode({ tools, say });
    provideDependencies({ root, tools, say });
    const natsServer = await provideNatsServer({ tools, path: process.env.PATH ?? '', say });
    const unfinished = join(tools, 'tmp-ready');
    writeFileSync(unfinished, `${node}\n${natsServer}\n`);
    renameSync(unfinished, join(tools, 'ready'));
  });
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  say(`cannot go on.\n\n  ${error.message.replaceAll('\n', '\n  ')}\n`);
  process.exitCode = 1;
}

/** What a set-up that was killed has left half unpacked. */
function removeLeftovers() {
  for (const name of readdirSync(tools)) {
    if (name.startsWith('tmp-')) rmSync(join(tools, name), { recursive: true, force: true });
  }
}
