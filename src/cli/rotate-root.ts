/** `weft rotate root`: another root takes the place of the present one, while all agents go on. */
import { dirname } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import type { ApiVerbs, IdentityView } from '../protocol/api.ts';
import { TRUST_NAME } from '../protocol/trust-list.ts';
import { type ApiClient, withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { findRootFile, meshFolder, updateRootPublicKey } from './mesh-folder.ts';
import { note } from './output.ts';
import { allItems } from './pages.ts';
import { untilProgrammed } from './programmed.ts';
import { dropFormerRoot, exchangeRoots, makeNextRoot, type RootPhase, readRootFiles } from './root-files.ts';

export interface RotateRootOptions extends ContextOptions {
  readonly timeoutMs: number;
  /** Ends it although some agents have not followed; they need tokens then. */
  readonly finish: boolean;
}

const POLL_MS = 200;
/** A controller reads its files, and leads again, within this. */
const RELOAD_MS = 15_000;

/**
 * Each step can be interrupted, and is taken up by the next call: the files say how far it is.
 * @returns the exit code: `refused` if some agents have not followed yet
 */
export async function rotateRoot(options: RotateRootOptions): Promise<number> {
  const rootFile = await findRootFile(options.root, '.', process.cwd());
  const context = { ...options, root: rootFile };
  if ((await readRootFiles(rootFile)).phase === 'single') await makeNextRoot(rootFile);

  if ((await readRootFiles(rootFile)).phase === 'next') {
    const told = await withApi(context, async (api) => {
      const trust = await reload(api, rootFile);
      note('telling all agents of the next root');
      return untilProgrammed(api, [{ service: TRUST_NAME, revision: trust }], options.timeoutMs);
    });
    if (told !== EXIT.done && !options.finish) return later('some agents do not know the next root yet');
    await exchangeRoots(rootFile);
    const { present } = await readRootFiles(rootFile);
    await updateRootPublicKey(meshFolder(dirname(rootFile)), present.publicKey);
  }

  return withApi(context, async (api) => {
    await reload(api, rootFile);
    note('the next root signs now; agents renew their identities');
    const missing = await untilRenewed(api, rootFile, options.timeoutMs);
    if (missing.length > 0 && !options.finish) {
      return later(`${missing.join(', ')} have no identity of it yet`);
    }
    await dropFormerRoot(rootFile);
    await reload(api, rootFile);
    process.stdout.write(`root ${(await readRootFiles(rootFile)).present.publicKey}\n`);
    if (missing.length > 0) note(`left behind: ${missing.join(', ')}; make tokens for them`);
    note('operators need a new context file, and credentials of `weft operator create`');
    return EXIT.done;
  });
}

/** Has the controller read the files, and waits until it publishes what they say. @returns the revision of that */
async function reload(api: ApiClient, rootFile: string): Promise<readonly [number, number]> {
  const { phase, present, other } = await readRootFiles(rootFile);
  const wanted = [present.publicKey, ...(other === undefined ? [] : [other.publicKey])].join();
  await api.call('rotate', { what: 'root' });
  for (const untilMs = performance.now() + RELOAD_MS; performance.now() < untilMs; ) {
    const said = await looked(api);
    if (said?.trust != null && said.roots.join() === wanted) return said.trust as readonly [number, number];
    await wait(POLL_MS);
  }
  throw new UsageError(
    `the controller that leads does not use the roots of ${dirname(rootFile)}: copy ${namesOf(phase)} of it to the hosts of all controllers, and run this again`,
  );
}

/** While no controller leads there is no answer. */
async function looked(api: ApiClient): Promise<ApiVerbs['identities']['response'] | undefined> {
  return api.call('identities', {}).catch(() => undefined);
}

/** @returns the agents that have not followed within the time */
async function untilRenewed(api: ApiClient, rootFile: string, timeoutMs: number): Promise<readonly string[]> {
  const { present } = await readRootFiles(rootFile);
  let said = '';
  for (const untilMs = performance.now() + timeoutMs; ; ) {
    const items: readonly IdentityView[] | undefined = await allItems(api, 'identities', {}).catch(
      () => undefined,
    );
    const enrolled = items?.filter(({ state }) => state === 'valid' || state === 'expired');
    const missing = enrolled?.filter(({ root }) => root !== present.publicKey).map(({ agent }) => agent);
    if (enrolled !== undefined && missing !== undefined) {
      const text = `${enrolled.length - missing.length} of ${enrolled.length} agents`;
      if (text !== said) note(text);
      said = text;
      if (missing.length === 0 || performance.now() >= untilMs) return missing;
    } else if (performance.now() >= untilMs) return ['agents that the controller cannot tell of now'];
    await wait(POLL_MS);
  }
}

function namesOf(phase: RootPhase): string {
  if (phase === 'single') return 'root.nk';
  return phase === 'next' ? 'root.nk and root-next.nk' : 'root.nk and root-former.nk';
}

function later(why: string): number {
  note(
    `${why}: run \`weft rotate root\` again to go on, or with --finish to leave behind who does not follow`,
  );
  return EXIT.refused;
}
