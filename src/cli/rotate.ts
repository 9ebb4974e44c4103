import { setTimeout as wait } from 'node:timers/promises';
import { type ApiClient, withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { note } from './output.ts';
import { printable } from './printable.ts';
import { timeoutOf } from './programmed.ts';
import { agentOf } from './revoke.ts';
import { rotateRoot } from './rotate-root.ts';
import { type NamespaceOptions, serviceOf } from './target.ts';

const POLL_MS = 200;

export interface RotateOptions extends ContextOptions, NamespaceOptions {
  readonly timeout: string;
  readonly finish?: boolean;
}

/** `weft rotate service/NAME | agent/HOST | root`: replaces a key, without a request being lost. */
export async function rotate(words: readonly string[], options: RotateOptions): Promise<number> {
  const [what = '', name = ''] = words.length === 1 ? (words[0] as string).split('/', 2) : words;
  if (what === 'service' && name !== '') {
    const service = serviceOf(name, options);
    return withApi(options, async (api) => {
      const { fromMs } = await api.call('rotate', { what: 'service', service });
      note(`callers use the next key of ${service} from ${new Date(fromMs).toISOString()}`);
      await wait(Math.max(0, fromMs - Date.now()));
      process.stdout.write(`service/${name} has a new key\n`);
      return EXIT.done;
    });
  }
  if (what === 'agent') {
    const agent = agentOf(words);
    return withApi(options, (api) => rotateAgent(api, agent, timeoutOf(options)));
  }
  if (what === 'root' && name === '') {
    return rotateRoot({ ...options, timeoutMs: timeoutOf(options), finish: options.finish === true });
  }
  throw new UsageError(`expected service/NAME, agent/HOST or root; found ${printable(words.join(' '))}`);
}

async function rotateAgent(api: ApiClient, agent: string, timeoutMs: number): Promise<number> {
  const before = await keyOf(api, agent);
  await api.call('rotate', { what: 'agent', agent });
  note(`waiting for ${agent} to make new keys`);
  for (const untilMs = performance.now() + timeoutMs; performance.now() < untilMs; ) {
    if ((await keyOf(api, agent)) !== before) {
      process.stdout.write(`agent/${agent} has new keys\n`);
      return EXIT.done;
    }
    await wait(POLL_MS);
  }
  note(
    `it has not done so yet; it will when it is there: see \`weft get identities\` and \`weft get agents\``,
  );
  return EXIT.refused;
}

async function keyOf(api: ApiClient, agent: string): Promise<string | undefined> {
  const { items } = await api.call('identities', { agent });
  return items.find((one) => one.state !== 'invited')?.key;
}
