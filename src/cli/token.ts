import { withApi } from './api-client.ts';
import type { ContextOptions } from './context.ts';
import { EXIT, UsageError } from './exit.ts';
import { makeToken } from './join-token.ts';
import { labelOf } from './label.ts';
import { findNatsKey } from './nats-keys.ts';
import { note } from './output.ts';
import { parseSpan } from './span.ts';
import { type NamespaceOptions, serviceOf } from './target.ts';

export interface TokenOptions extends ContextOptions, NamespaceOptions {
  readonly host: string;
  /** With commas. */
  readonly workloads: string;
  readonly ttl: string;
}

const TTL_MIN_MS = 60_000;
const TTL_MAX_MS = 30 * 24 * 3_600_000;

/** `weft token create`: what one host joins the mesh with. The token alone goes to stdout. */
export async function createToken(options: TokenOptions): Promise<number> {
  const host = labelOf('--host', options.host);
  const names = options.workloads.split(',').map((name) => name.trim());
  const workloads = names.filter((name) => name !== '').map((name) => serviceOf(name, options));
  if (workloads.length === 0) {
    throw new UsageError(
      '--workloads: expected the services that the host may speak and serve for, with commas',
    );
  }
  const ttlMs = parseSpan(options.ttl);
  if (ttlMs === undefined || ttlMs < TTL_MIN_MS || ttlMs > TTL_MAX_MS) {
    throw new UsageError('--ttl: expected a duration from 1m to 30d, like 15m or 7d');
  }
  return withApi(options, async (api, context) => {
    const { folder } = context;
    const natsKey = folder === undefined ? undefined : await findNatsKey(folder, 'join');
    const wanted = { host, workloads, ttlMs, natsSeed: natsKey?.seed };
    const { text, expiresMs } = await makeToken(api, context, wanted);
    process.stdout.write(`${text}\n`);
    note(
      `for ${host}, once, until ${new Date(expiresMs).toISOString()}; keep it secret until then. On that host:\n  weft agent -f agent.yaml --join TOKEN`,
    );
    return EXIT.done;
  });
}
