import type { Resource } from './resource.ts';
import type { Refuse } from './validate.ts';

/** A Service as the schema lets it pass. */
export interface ServiceSpec {
  /** Names by which it can be called too. */
  readonly aliases?: readonly string[];
  readonly protocol?: 'http';
  readonly exposure?: 'mesh' | 'namespace';
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

export function checkService({ ports = [] }: ServiceSpec, refuse: Refuse): void {
  const numbers = new Set<number>();
  const names = new Set<string>();
  for (const [at, { port, name }] of ports.entries()) {
    if (numbers.has(port)) refuse(['spec', 'ports', at, 'port'], 'each port once');
    if (name !== undefined && names.has(name)) refuse(['spec', 'ports', at, 'name'], 'each name once');
    numbers.add(port);
    if (name !== undefined) names.add(name);
  }
}
