import { flushCompileCache } from 'node:module';
import { type Logger, pino } from 'pino';
import { listenAdmin } from '../agent/admin.ts';
import { type Agent, createAgent } from '../agent/agent.ts';
import { releaseStartMemory } from '../agent/garbage.ts';
import { agentIdentity, givenToken, takeTokenVariable } from './agent-identity.ts';
import { EXIT } from './exit.ts';
import { planAgent } from './plan-agent.ts';
import { release } from './release.ts';

/** What is told to stop at once does not outlive this, whatever still hangs. */
const STOP_MS = 1_000;

/**
 * `weft agent`: runs the agent of this host until SIGTERM or SIGINT (drain, exit 0), a second one (stop at
 * once, exit 1), or until the parent that gave it a pipe is gone (`WEFT_PARENT=stdin`; stop, exit 1). A host that is not
 * enrolled yet needs a join token; without one, or with one that is refused, it ends (exit 1).
 */
export async function agent(argv: readonly string[]): Promise<number> {
  const variable = takeTokenVariable(process.env);
  const plan = planAgent(argv);
  if (typeof plan === 'number') return plan;
  const { config, logLevel } = plan;
  const log = pino(
    { level: logLevel, base: { host: config.host } },
    pino.destination({ dest: 2, sync: true }),
  );
  const parent = watchParent();
  try {
    const joinToken = givenToken(plan.join, process.env) ?? variable;
    const membership = await agentIdentity({ config, joinToken, log });
    const { keyring } = membership;
    const running = createAgent({
      config,
      keyring,
      membership,
      natsSeed: () => keyring.keys.seed,
      log,
      release: release(),
    });
    const admin = await listenAdmin(config.admin, running);
    releaseStartMemory();
    // Written at exit otherwise, and not at all by a process that is killed.
    flushCompileCache();
    try {
      return await run(running, parent, log);
    } finally {
      await admin.close();
    }
  } catch (error) {
    process.stderr.write(`weft: ${error instanceof Error ? error.message : String(error)}\n`);
    return EXIT.refused;
  }
}

interface Parent {
  /** What to do when it is gone; until this is said the process just ends. */
  whenGone(stop: () => void): void;
}

/** A parent that has given this process a pipe as its stdin ends it by ending, also while it is not enrolled yet. */
function watchParent(): Parent {
  let stop: () => void = () => process.exit(EXIT.refused);
  if (process.env.WEFT_PARENT === 'stdin') {
    const gone = () => stop();
    process.stdin.resume().once('end', gone).once('error', gone);
  }
  return {
    whenGone(then) {
      stop = then;
    },
  };
}

/** Resolves with the exit code when it is over; rejects if the agent cannot start (a door's port is taken). */
async function run(running: Agent, parent: Parent, log: Logger): Promise<number> {
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
  parent.whenGone(stopAtOnce);
  // It resolves late or never while NATS is away; that ends nothing.
  running.start().catch(ended.reject);
  await ended.promise;
  return cutShort ? EXIT.refused : EXIT.done;
}
