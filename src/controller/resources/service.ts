import type { Exposure } from '../../protocol/exposure.ts';
import { DEFAULT_NAMESPACE, nameOfAuthority } from '../../protocol/names.ts';
import type { Resource } from './resource.ts';
import type { Refuse } from './validate.ts';

/** A Service as the schema lets it pass. */
export interface ServiceSpec {
  /** Authorities by which it can be called too. */
  readonly aliases?: readonly string[];
  readonly protocol?: 'http';
  readonly exposure?: Exposure;
  /** If there are none, every port is one of its. */
  readonly ports?: readonly ServicePort[];
}

export interface ServicePort {
  readonly port: number;
  readonly name?: string;
}

/** `orders.shop` */
export function serviceName({ metadata }: Resource): string {
  return `${metadata.name}.${metadata.namespace}`;
}

/** An alias as it is written, and what callers' authorities are looked up by. */
export interface Alias {
  readonly alias: string;
  readonly name: string;
}

/** The aliases of a Service that has passed `validateResource`, without other ways to write its own name. */
export function aliasesOf(resource: Resource): Alias[] {
  const { aliases = [] } = resource.spec as ServiceSpec;
  const own = serviceName(resource);
  return aliases.flatMap((alias) => {
    const name = nameOfAuthority(alias, resource.metadata.namespace);
    return name === undefined || name === own ? [] : [{ alias, name }];
  });
}

export function checkService({ aliases = [], ports = [] }: ServiceSpec, refuse: Refuse): void {
  for (const [at, alias] of aliases.entries()) {
    if (nameOfAuthority(alias, DEFAULT_NAMESPACE) === undefined) {
      refuse(['spec', 'aliases', at], 'a host name that is no address: its last label is not a number');
    }
  }
  const numbers = new Set<number>();
  const names = new Set<string>();
  for (const [at, { port, name }] of ports.entries()) {
    if (numbers.has(port)) refuse(['spec', 'ports', at, 'port'], 'each port once');
    if (name !== undefined && names.has(name)) refuse(['spec', 'ports', at, 'name'], 'each name once');
    numbers.add(port);
    if (name !== undefined) names.add(name);
  }
}
