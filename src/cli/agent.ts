import { readFileSync, statSync } from 'node:fs';
import { flushCompileCache } from 'node:module';
import { dirname, join } from 'node:path';
import { type Logger, pino } from 'pino';
import { listenAdmin } from '../agent/admin.ts';
import { type Agent, createAgent } from '../agent/agent.ts';
import type { AgentConfig } from '../agent/config.ts';
import { releaseStartMemory } from '../agent/garbage.ts';
import { createRootKeyring } from '../protocol/keyring.ts';
import { EXIT } from './exit.ts';
import { planAgent } from './plan-agent.ts';
import { release } from './release.ts';

/** What is told to stop at once does not outlive this, whatever still hangs. */
const STOP_MS = 1_000;

/**
 * `weft agent`: runs the agent of this host until SIGTERM or SIGINT (drain, exit 0), a second one (stop at
 * once, exit 1), or until the parent that gave it a pipe is gone (`WEFT_PARENT=stdin`; stop, exit 1).
 */
export async function agent(argv: readonly string[]): Promise<number> {
  const plan = planAgent(argv);
  if (typeof plan === 'number') return plan;
  const { rootFile, logLevel } = plan;
  const { host, data = join(dirname(rootFile), 'data', host) } = plan.config;
  const config: AgentConfig = { ...plan.config, data };
  const log = pino(
    { level: logLevel, base: { host: config.host } },
    pino.destination({ dest: 2, sync: true }),
  );
  try {
    warn(rootFile, log);
    const keyring = createRootKeyring({
      rootSeed: readFileSync(rootFile, 'utf8').trim(),
      mesh: config.mesh,
      agent: config.host,
      workloads: config.workloads.map(({ service }) => service),
      now: Date.now,
    });
    const running = createAgent({ config, keyring, log, release: release() });
    const admin = await listenAdmin(config.admin, running);
    releaseStartMemory();
    // Written at exit otherwise, and not at all by a process that is killed.
    flushCompileCache();
    try {
      return await run(running, log);
    } finally {
      await admin.close();
    }
  } catch (error) {
    process.stderr.write(`weft: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.refused;
  }
}

/** Resolves with the exit code when it is over; rejects if the agent cannot start (a door's port is taken). */
async function run(running: Agent, log: Logger): Promise<number> {
  const ended = Promise.withResolvers<void>();
  let signals = 0;
  let cutShort = false;
  const stopAtOnce = () => {
    cutShort = true;
    setTimeout(ended.resolve, STOP_MS);
    running.stop().then(ended.resolve, ended.reject);
  };
  const onSignal = (signal: NodeJS.Signals) => {
    signals += 1;
    log.info({ signal }, signals === 1 ? 'draining; once more to stop at once' : 'stopping');
    if (signals === 1) running.drain().then(ended.resolve, ended.reject);
    else stopAtOnce();
  };
  process.on('SIGTERM', onSignal).on('SIGINT', onSignal);
  if (process.env.WEFT_PARENT === 'stdin') {
    process.stdin.resume().once('end', stopAtOnce).once('error', stopAtOnce);
  }
  // It resolves late or never while NATS is away; that ends nothing.
  running.start().catch(ended.reject);
  await ended.promise;
  return cutShort ? EXIT.refused : EXIT.done;
}

function warn(rootFile: string, log: Logger): void {
  if ((statSync(rootFile).mode & 0o077) !== 0) {
    log.warn({ file: rootFile }, 'others can read the mesh root: chmod 600 it');
  }
}
