import { isLabel } from '../protocol/names.ts';
import { withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { note } from './output.ts';
import { printable } from './printable.ts';

/** `weft revoke agent/HOST`: cuts it off, everywhere and at once. */
export async function revoke(words: readonly string[], options: ContextOptions): Promise<number> {
  const agent = agentOf(words);
  return withApi(options, async (api) => {
    const { services } = await api.call('revoke', { agent });
    process.stdout.write(`agent/${agent} revoked\n`);
    if (services.length > 0) note(`the keys of ${services.join(', ')} are replaced`);
    note(`a token of \`weft token create --host ${agent}\` brings it back`);
    return EXIT.done;
  });
}

/** The agent that `agent/app-1` or `agent app-1` names. @throws UsageError */
export function agentOf(words: readonly string[]): string {
  const [what = '', name = ''] = words.length === 1 ? (words[0] as string).split('/', 2) : words;
  if (what !== 'agent' || !isLabel(name)) {
    throw new UsageError(`expected agent/HOST; found ${printable(words.join(' '))}`);
  }
  return name;
}
