/** `weft check`: is the mesh in order? First what can be seen from here, then what the controller sees. */
import type { NatsConnection } from '@nats-io/nats-core';
import type { Check } from '../protocol/api.ts';
import { connectOperator, createApiClient } from './api-client.ts';
import { type ContextOptions, type MeshContext, resolveContext } from './context.ts';
import { EXIT, UnreachableError } from './exit.ts';
import { isRecentEnough } from './nats-binary.ts';
import { type OutputFormat, print } from './output.ts';
import { printable } from './printable.ts';
import { release } from './release.ts';

export interface CheckOptions extends ContextOptions {
  readonly output: OutputFormat;
}

const JETSTREAM_MS = 2_000;
const SLOW_MS = 100;

export async function check(options: CheckOptions): Promise<number> {
  const context = await resolveContext(options, { cwd: process.cwd(), env: process.env });
  const { checks, reachable } = await checksOf(context);
  print(options.output, { checks }, () => checks.map(checkLine).join(''));
  if (!reachable) return EXIT.unreachable;
  return checks.some(({ result }) => result === 'failed') ? EXIT.refused : EXIT.done;
}

async function checksOf(context: MeshContext): Promise<{ checks: readonly Check[]; reachable: boolean }> {
  let connection: NatsConnection;
  try {
    connection = await connectOperator(context);
  } catch (error) {
    return { checks: [unreachable('nats', error)], reachable: false };
  }
  try {
    const checks = [versionCheck(connection), await busCheck(connection), await jetStreamCheck(connection)];
    const api = createApiClient(connection, context);
    const seen = await api.call('check', {}).then(
      (answer) => answer.checks,
      (error: unknown) => [unreachable('controller', error)],
    );
    return { checks: [...checks, ...seen], reachable: true };
  } finally {
    await connection.close();
  }
}

function versionCheck({ info }: NatsConnection): Check {
  const version = info?.version ?? 'of an unknown version';
  const message = `weft ${release()}, Node.js ${process.versions.node}, nats-server ${version}`;
  return isRecentEnough(`v${version}.`)
    ? checked('release', 'ok', message, '')
    : checked('release', 'failed', message, 'nats-server 2.10 or newer is needed');
}

async function busCheck(connection: NatsConnection): Promise<Check> {
  // The first round trip includes what the connection has just begun.
  await connection.flush();
  const sinceMs = performance.now();
  await connection.flush();
  const ms = performance.now() - sinceMs;
  const message = `${connection.getServer()}, round trip ${ms.toFixed(1)} ms`;
  return ms <= SLOW_MS
    ? checked('nats', 'ok', message, '')
    : checked('nats', 'warning', message, 'every request between hosts pays it twice: use a nearer server');
}

async function jetStreamCheck(connection: NatsConnection): Promise<Check> {
  try {
    const answer = await connection.request('$JS.API.INFO', '', { timeout: JETSTREAM_MS });
    const { error, streams } = answer.json<{ error?: { description?: string }; streams?: number }>();
    if (error === undefined) return checked('jetstream', 'ok', `enabled, ${streams} streams`, '');
    return checked('jetstream', 'failed', String(error.description), 'enable it for this NATS account');
  } catch (error) {
    const { message } = error as Error;
    return checked(
      'jetstream',
      'failed',
      `it does not answer (${message})`,
      'start nats-server with -js, or let this user publish to $JS.API.INFO',
    );
  }
}

function unreachable(name: string, error: unknown): Check {
  if (error instanceof UnreachableError) return checked(name, 'failed', error.what, error.advice);
  return checked(name, 'failed', (error as Error).message, 'look at the logs of the controllers');
}

function checked(name: string, result: Check['result'], message: string, advice: string): Check {
  return { name, result, message, advice };
}

function checkLine({ name, result, message, advice }: Check): string {
  const line = `${result.padEnd(7)}  ${name}  ${message}${advice === '' ? '' : ` — ${advice}`}`;
  return `${printable(line)}\n`;
}
