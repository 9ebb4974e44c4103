import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { headers, type Msg } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import type { ExecutionContext } from 'ava';
import { createMesh, meshFolder, readRootFile } from '../../src/cli/mesh-folder.ts';
import { PROOF_HEADER, proveAnswer } from '../../src/protocol/answer-proof.ts';
import type { ApiVerbs, Verb } from '../../src/protocol/api.ts';
import { type ApiCall, type ApiError, openCall } from '../../src/protocol/api-call.ts';
import { verificationKey } from '../../src/protocol/nkey.ts';
import type { Operator } from '../../src/protocol/operator.ts';
import { type Root, readRoot } from '../../src/protocol/root.ts';
import { signingKey } from '../../src/protocol/signed-document.ts';
import { apiSubject } from '../../src/protocol/subjects.ts';
import { tempFolder } from '../kit/temp-folder.ts';
import { startWeft } from '../kit/weft-process.ts';

/** What a verb is answered with: the response, an `ApiError`, or 'silence'. It may depend on the request and its turn. */
export type Answers = {
  readonly [V in Verb]?: (request: ApiVerbs[V]['request'], turn: number) => unknown;
};

export interface Asked {
  readonly verb: Verb;
  readonly request: unknown;
  readonly call: ApiCall;
  readonly operator?: Operator;
}

export interface FakeController {
  readonly mesh: string;
  /** The folder in which the commands run; it holds the context of the mesh. */
  readonly folder: string;
  readonly root: Root;
  /** What was asked, in order, and by which operator; by the root if by none. */
  readonly asked: readonly Asked[];
  /** Runs a command to its end. `stdin`: what it is given there. `cwd`: another folder than that of the context. */
  weft(args: readonly string[], stdin?: string, cwd?: string): Promise<Ended>;
}

export interface Ended {
  readonly code: number | string;
  readonly stdout: string;
  readonly stderr: string;
}

let count = 0;

/** A mesh of its own on a shared NATS, whose controller gives the answers of a script. */
export async function fakeController(
  t: ExecutionContext,
  url: string,
  answers: Answers,
): Promise<FakeController> {
  count += 1;
  const mesh = `shop-${count}`;
  const folder = await tempFolder(t);
  const { path, rootFile } = meshFolder(join(folder, '.weft'));
  await mkdir(path);
  const { rootPublicKey } = await createMesh(meshFolder(path), mesh, [url]);
  const key = verificationKey(rootPublicKey);
  const root = readRoot((await readRootFile(rootFile)).seed);
  const asked: Asked[] = [];
  const connection = await connect({ servers: url });
  t.teardown(() => connection.close());
  for (const verb of Object.keys(answers) as Verb[]) {
    let turn = 0;
    connection.subscribe(apiSubject(mesh, verb), {
      callback: (_error, message) => {
        const { call, operator } = openCall(key, message.string(), mesh, verb, Date.now());
        const { request } = call;
        asked.push({ verb, request, call, ...(operator === undefined ? {} : { operator }) });
        const answer = (answers[verb] as (request: unknown, turn: number) => unknown)(request, turn++);
        if (answer !== 'silence') respondAs(root, mesh, verb, message, JSON.stringify(answerOf(answer)));
      },
    });
  }
  await connection.flush();

  return {
    mesh,
    folder,
    root,
    asked,
    async weft(args, stdin, cwd = folder) {
      const weft = startWeft(t, args, { cwd, env: { WEFT_CONTEXT: '' } });
      weft.child.stdin?.end(stdin);
      const code = await weft.exited;
      return { code, stdout: weft.stdout(), stderr: weft.stderr() };
    },
  };
}

/** Answers a call as the controller does that has that root: it signs what it says. */
export function respondAs(root: Root, mesh: string, verb: Verb, message: Msg, text: string): void {
  const fields = headers();
  const given = { mesh, verb, call: message.data, answer: Buffer.from(text) };
  fields.set(PROOF_HEADER, proveAnswer(signingKey(root), given));
  message.respond(text, { headers: fields });
}

function answerOf(answer: unknown): unknown {
  const error = answer as Partial<ApiError>;
  const isError = typeof error.code === 'string' && typeof error.message === 'string';
  return isError ? { ok: false, error } : { ok: true, response: answer };
}

/** An HTTPRoute as text; with other lines in place of its rules. */
export function routeYaml(
  name: string,
  rules = '[{ backendRefs: [{ name: orders-v1, port: 80 }] }]',
): string {
  return `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name} }
spec:
  parentRefs: [{ group: "", kind: Service, name: orders }]
  rules: ${rules}
`;
}
