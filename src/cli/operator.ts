/** `weft operator`: who may change the mesh without having its root. */
import { createUser } from '@nats-io/nkeys';
import { isRole, OPERATOR_MS_MAX, ROLES, signOperator } from '../protocol/operator.ts';
import { signingKey } from '../protocol/signed-document.ts';
import { connectOperator, createApiClient, withApi } from './api-client.ts';
import { ApiRefusal } from './api-refusal.ts';
import { type ContextOptions, type MeshContext, resolveContext } from './context.ts';
import { EXIT, UnreachableError, UsageError } from './exit.ts';
import { labelOf } from './label.ts';
import { writeOperatorFile } from './operator-file.ts';
import { note } from './output.ts';
import { parseSpan } from './span.ts';

export interface OperatorCreateOptions extends ContextOptions {
  readonly role: string;
  readonly ttl: string;
  readonly out: string;
}

const TTL_MIN_MS = 60_000;

/**
 * Makes an operator's key and has the root say whose it is. The controller is told if it can be reached; without that the
 * credentials hold all the same.
 */
export async function createOperator(name: string, options: OperatorCreateOptions): Promise<number> {
  labelOf('NAME', name);
  const { role, out } = options;
  if (!isRole(role)) throw new UsageError(`--role: expected one of ${ROLES.join(', ')}`);
  const ttlMs = parseSpan(options.ttl);
  if (ttlMs === undefined || ttlMs < TTL_MIN_MS || ttlMs > OPERATOR_MS_MAX) {
    throw new UsageError('--ttl: expected a duration from 1m to 366d, like 90d or 12h');
  }
  const context = await resolveContext(options, { cwd: process.cwd(), env: process.env });
  const root = await context.root();
  const user = createUser();
  const iat = Math.floor(Date.now() / 1000);
  const exp = iat + Math.floor(ttlMs / 1000);
  const { mesh } = context;
  const document = signOperator(signingKey(root), {
    mesh,
    name,
    role,
    key: user.getPublicKey(),
    iat,
    exp,
  });
  const expires = new Date(exp * 1000).toISOString();
  const seed = Buffer.from(user.getSeed()).toString('latin1');
  await writeOperatorFile(out, { mesh, name, role, expires, root: root.publicKey, document, seed });
  process.stdout.write(`operator ${name}, ${role}, ${user.getPublicKey()}, until ${expires}: ${out}\n`);
  note(
    `keep ${out} secret; its holder uses it with --operator FILE, WEFT_OPERATOR, or "operator" in context.json`,
  );
  await tell(context, document);
  return EXIT.done;
}

/** `weft operator revoke`: whatever was issued to that name until now ends at once. */
export async function revokeOperator(name: string, options: ContextOptions): Promise<number> {
  labelOf('NAME', name);
  return withApi(options, async (api) => {
    const { known } = await api.call('revokeOperator', { name });
    process.stdout.write(`operator ${name} revoked\n`);
    if (known === 0) note('the controller knew no credentials of that name that hold: is it spelt right?');
    return EXIT.done;
  });
}

async function tell(context: MeshContext, document: string): Promise<void> {
  try {
    const connection = await connectOperator(context);
    try {
      await createApiClient(connection, context).call('addOperator', { document });
    } finally {
      await connection.close();
    }
  } catch (error) {
    if (!(error instanceof UnreachableError || error instanceof ApiRefusal)) throw error;
    note(`the controller does not know of it (${error.message}); the credentials hold without that`);
  }
}
