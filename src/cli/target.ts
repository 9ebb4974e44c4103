import { KINDS, kindOf, parseResourceRef } from '../controller/resources/resource.ts';
import type { ResourceName } from '../protocol/api.ts';
import { DEFAULT_NAMESPACE, parseServiceName } from '../protocol/names.ts';
import { nearestWord } from '../protocol/nearest-word.ts';
import { UsageError } from './exit.ts';
import { labelOf } from './label.ts';
import { printable } from './printable.ts';

export interface NamespaceOptions {
  readonly namespace?: string;
}

/** The namespace of `-n`, or the default one. @throws UsageError */
export function namespaceOf({ namespace = DEFAULT_NAMESPACE }: NamespaceOptions): string {
  return labelOf('-n', namespace);
}

/** The one resource that `httproute/orders` or `httproute orders` names. @throws UsageError */
export function targetOf(words: readonly string[], options: NamespaceOptions): ResourceName {
  const name = parseResourceRef(words, namespaceOf(options));
  if (name !== undefined) return name;
  const [word = ''] = words[0]?.split('/') ?? [];
  if (kindOf(word) === undefined) throw unknownKind(word);
  throw new UsageError(
    `expected KIND/NAME, like httproute/orders, with a name in lower case; found ${printable(words.join(' '))}`,
  );
}

/** The service that `orders` or `orders.shop` names; `-n` completes the first. @throws UsageError */
export function serviceOf(name: string, options: NamespaceOptions): string {
  const service = parseServiceName(name.includes('.') ? name : `${name}.${namespaceOf(options)}`);
  if (service === undefined) {
    throw new UsageError(`expected a service, like orders or orders.shop; found ${printable(name)}`);
  }
  return service;
}

export function unknownKind(word: string, others: readonly string[] = []): UsageError {
  const words = [...KINDS.flatMap(({ schema, plural, short }) => [schema, plural, ...short]), ...others];
  const meant = nearestWord(word, words);
  const hint =
    meant === undefined
      ? `there are ${[...KINDS.map(({ schema }) => schema), ...others].join(', ')}`
      : `is ${meant} meant?`;
  return new UsageError(`there is no kind ${JSON.stringify(printable(word))}: ${hint}`);
}

/** `httproute/orders`, and where it is unless that is the default namespace: as one types it. */
export function resourceText({ kind, namespace, name }: ResourceName): string {
  const at = namespace === DEFAULT_NAMESPACE ? '' : ` -n ${namespace}`;
  return printable(`${kind.toLowerCase()}/${name}${at}`);
}
