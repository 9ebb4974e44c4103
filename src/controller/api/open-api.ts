/** The API as OpenAPI 3.1, made from the very schemas that requests are checked with. */
import { CHANGING_VERBS } from '../../protocol/api-call.ts';
import type { ApiSchema } from './api-schema.ts';

export function openApi(schema: ApiSchema, mesh: string, version: string): object {
  const paths: Record<string, object> = {};
  for (const verb of schema.verbs) {
    const request = { schema: { $ref: `#/components/schemas/${verb}Request` } };
    const signed = {
      schema: {
        type: 'string',
        description: `a compact JWS (EdDSA, typ weft-call) of {verb, mesh, timeMs, nonce, author, request}, signed by the root; or by an operator, whose document then goes before it (document~call). request is a ${verb}Request`,
      },
    };
    const changing = CHANGING_VERBS.has(verb);
    const responses = { '200': answer(`${verb}Response`, true), default: answer('error', false) };
    const common = { summary: schema.summary(verb), responses };
    const post = {
      ...common,
      operationId: verb,
      requestBody: {
        required: changing,
        content: changing ? { 'application/jose': signed } : { 'application/json': request },
      },
    };
    const { required } = schema.definitions[`${verb}Request`] as { readonly required?: readonly string[] };
    // Without a body there is an empty request, for those verbs that take one.
    const get =
      changing || (required?.length ?? 0) > 0 ? {} : { get: { ...common, operationId: `${verb}All` } };
    paths[`/api/${verb}`] = { ...get, post };
  }
  return {
    openapi: '3.1.0',
    info: { title: `Weft controller of the mesh ${mesh}`, version },
    paths,
    components: { schemas: relocated(schema.definitions) },
  };
}

function answer(definition: string, ok: boolean): object {
  const name = ok ? 'response' : 'error';
  return {
    description: ok ? 'done' : 'refused: the message says why, and what to do next',
    content: {
      'application/json': {
        schema: {
          type: 'object',
          required: ['ok', name],
          properties: { ok: { const: ok }, [name]: { $ref: `#/components/schemas/${definition}` } },
        },
      },
    },
  };
}

function relocated(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(relocated);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) =>
      key === '$ref' && typeof part === 'string'
        ? [key, part.replace('#/$defs/', '#/components/schemas/')]
        : [key, relocated(part)],
    ),
  );
}
