/** `weft rotate root`: another root takes the place of the present one, while all agents go on. */
import { dirname, join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ApiVerbs, IdentityView } from '../protocol/api.ts';
import { compareRevisions, NO_REVISION, type Revision } from '../protocol/revision.ts';
import { type ApiClient, withApi } from './api-client.ts';
import { type ContextOptions, resolveContext } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { takeLock } from './lock-file.ts';
import { meshFolder, updateRootPublicKey } from './mesh-folder.ts';
import { note } from './output.ts';
import { allItems } from './pages.ts';
import { printable } from './printable.ts';
import { dropFormerRoot, exchangeRoots, makeNextRoot, type RootPhase, readRootFiles } from './root-files.ts';

export interface RotateRootOptions extends ContextOptions {
  readonly timeoutMs: number;
  /** Ends it although some agents have not followed; they need tokens then. */
  readonly finish: boolean;
}

const POLL_MS = 200;
/** A controller reads its files, leads again, and has listened to agents for long enough to tell them of roots, within this. */
const RELOAD_MS = 30_000;
const NAMED_MAX = 20;

/**
 * Each step can be interrupted, and is taken up by the next call: the files say how far it is.
 * @returns the exit code: `refused` if some agents have not followed yet
 */
export async function rotateRoot(options: RotateRootOptions): Promise<number> {
  const context = await resolveContext(options, { cwd: process.cwd(), env: process.env });
  // Says what is wrong if there is none.
  await context.root();
  const rootFile = options.root ?? join(context.folder!, 'root.nk');
  const folder = dirname(resolve(rootFile));
  const lock = await takeLock(join(folder, 'rotate.lock'), 'the root is being replaced already');
  try {
    const beside = meshFolder(folder).contextFile;
    const contextFiles = new Set([beside, context.contextFile ?? beside]);
    return await replaceRoot({ ...options, root: rootFile }, rootFile, contextFiles);
  } finally {
    await lock.release();
  }
}

async function replaceRoot(
  options: RotateRootOptions,
  rootFile: string,
  contextFiles: Iterable<string>,
): Promise<number> {
  const { timeoutMs, finish } = options;
  if ((await readRootFiles(rootFile)).phase === 'single') await makeNextRoot(rootFile);

  if ((await readRootFiles(rootFile)).phase === 'next') {
    const deaf = await withApi(options, async (api) => {
      const trust = await reload(api, rootFile);
      note('telling all agents of the next root');
      return untilFollowed(api, goesBy(trust), timeoutMs);
    });
    if (deaf.length > 0 && !finish) return later(`the next root is not known to ${names(deaf)} yet`);
    await exchangeRoots(rootFile);
  }

  return withApi(options, async (api) => {
    const { present, other: former } = await readRootFiles(rootFile);
    for (const file of contextFiles) {
      if (former !== undefined) await updateRootPublicKey(file, former.publicKey, present.publicKey);
    }
    await reload(api, rootFile);
    note('the next root signs now: agents get identities of it');
    const missing = await untilFollowed(api, ({ root }) => root === present.publicKey, timeoutMs);
    if (missing.length > 0 && !finish) return later(`no identity of it have ${names(missing)} yet`);
    note('services get keys that follow from it');
    // Those are made by the controller, whoever follows; without them callers could not reach the services.
    if (!(await untilKeysReplaced(api, timeoutMs))) return later('some services have none yet');
    await dropFormerRoot(rootFile);
    const trust = await reload(api, rootFile);
    note('the former root holds no more');
    const behind = await untilFollowed(
      api,
      (one) => missing.includes(one.agent) || goesBy(trust)(one),
      timeoutMs,
    );
    if (behind.length > 0) note(`${names(behind)} will hear of that when they are there`);
    process.stdout.write(`root ${present.publicKey}\n`);
    if (missing.length > 0) {
      note(
        `left behind: ${names(missing)}; make tokens for them, and remove the identity folders that they have`,
      );
    }
    note('operators need a new context file, and credentials of `weft operator create`');
    return EXIT.done;
  });
}

/**
 * Has the controller read the files, and waits until agents are told what they say.
 * @returns the revision of the trust list that says so
 */
async function reload(api: ApiClient, rootFile: string): Promise<Revision> {
  const { phase, present, other } = await readRootFiles(rootFile);
  const wanted = [present.publicKey, ...(other === undefined ? [] : [other.publicKey])].join();
  await api.call('rotate', { what: 'root' });
  for (const untilMs = performance.now() + RELOAD_MS; performance.now() < untilMs; ) {
    const said = await looked(api);
    if (said?.trust != null && said.roots.join() === wanted) return said.trust;
    await wait(POLL_MS);
  }
  throw new UsageError(
    `the controller that leads does not use the roots of ${dirname(rootFile)}: copy ${filesOf(phase)} of it to the hosts of all controllers, and run this again`,
  );
}

/** While no controller leads there is no answer. */
async function looked(api: ApiClient): Promise<ApiVerbs['identities']['response'] | undefined> {
  return api.call('identities', {}).catch(() => undefined);
}

const goesBy =
  (list: Revision) =>
  ({ trust }: IdentityView): boolean =>
    compareRevisions(trust ?? NO_REVISION, list) >= 0;

/** @returns the enrolled agents, wherever they are, that have not followed within the time */
async function untilFollowed(
  api: ApiClient,
  follows: (agent: IdentityView) => boolean,
  timeoutMs: number,
): Promise<readonly string[]> {
  let said = '';
  for (const untilMs = performance.now() + timeoutMs; ; ) {
    const items: readonly IdentityView[] | undefined = await allItems(api, 'identities', {}).catch(
      () => undefined,
    );
    const enrolled = items?.filter(({ state }) => state === 'valid' || state === 'expired');
    const missing = enrolled?.filter((one) => !follows(one)).map(({ agent }) => agent);
    if (enrolled !== undefined && missing !== undefined) {
      said = progress(said, `${enrolled.length - missing.length} of ${enrolled.length} agents`);
      if (missing.length === 0 || performance.now() >= untilMs) return missing;
    } else if (performance.now() >= untilMs) return ['agents that the controller cannot tell of now'];
    await wait(POLL_MS);
  }
}

/** Whether callers of all services use keys of the root that signs, within the time. */
async function untilKeysReplaced(api: ApiClient, timeoutMs: number): Promise<boolean> {
  let said = '';
  for (const untilMs = performance.now() + timeoutMs; performance.now() < untilMs; ) {
    const keys = (await looked(api))?.serviceKeys;
    if (keys !== undefined) {
      said = progress(said, `${keys.replaced} of ${keys.of} services`);
      if (keys.replaced === keys.of) return true;
    }
    await wait(POLL_MS);
  }
  return false;
}

function progress(said: string, text: string): string {
  if (text !== said) note(text);
  return text;
}

function names(agents: readonly string[]): string {
  const more = agents.length > NAMED_MAX ? ` and ${agents.length - NAMED_MAX} more` : '';
  return printable(agents.slice(0, NAMED_MAX).join(', ')) + more;
}

function filesOf(phase: RootPhase): string {
  if (phase === 'single') return 'root.nk';
  return phase === 'next' ? 'root.nk and root-next.nk' : 'root.nk and root-former.nk';
}

function later(why: string): number {
  note(
    `${why}: run \`weft rotate root\` again to go on, after \`weft revoke\` for hosts that are no more; --finish leaves behind who does not follow`,
  );
  return EXIT.refused;
}
