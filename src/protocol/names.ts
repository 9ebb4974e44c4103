/**
 * Names: services ("orders.default"), agents ("web-1") and their SPIFFE IDs.
 * Inside the mesh a service is always written in its canonical form, name and namespace in lower case.
 */

export const DEFAULT_NAMESPACE = 'default';

const LABEL = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
const PORT = /^[0-9]{0,5}$/;
const SPIFFE = 'spiffe://';
/** Agents keep a file of that name, with a word before it and endings behind it, and file names end at 255 bytes. */
const HOST_NAME_CHARACTERS_MAX = 200;

/** True for a DNS label in lower case, at most 63 characters (RFC 1123 §2.1): a mesh, agent, service or namespace. */
export function isLabel(text: string): boolean {
  return LABEL.test(text);
}

/** True for the canonical form of a service: `name.namespace`. */
export function isServiceName(text: string): boolean {
  const dot = text.indexOf('.');
  return dot > 0 && isLabel(text.slice(0, dot)) && isLabel(text.slice(dot + 1));
}

/** "orders" or "orders.shop" → "orders.default" or "orders.shop"; undefined for anything else. */
export function parseServiceName(text: string): string | undefined {
  const service = inNamespace(text, DEFAULT_NAMESPACE);
  return isServiceName(service) ? service : undefined;
}

/** "orders" → "orders.shop" for the namespace "shop"; what names its own namespace stays as it is. */
export function inNamespace(service: string, namespace: string): string {
  return service.includes('.') ? service : `${service}.${namespace}`;
}

/**
 * The two labels of a canonical service name, which must be one (see `isServiceName`). Of a host name, its first label and
 * all others.
 */
export function serviceParts(service: string): { readonly name: string; readonly namespace: string } {
  const dot = service.indexOf('.');
  return { name: service.slice(0, dot), namespace: service.slice(dot + 1) };
}

/**
 * The service that an authority (RFC 3986 §3.2, without userinfo) names, or undefined. Understood are `orders`,
 * `orders.shop-ns`, `orders.shop-ns.svc`, `orders.shop-ns.svc.cluster.local`, `orders.mesh` and
 * `orders.shop-ns.mesh`, with any port, in any case, with or without the root's dot.
 * A namespace called "mesh" is therefore reached as `orders.mesh.svc`.
 */
export function serviceOfAuthority(authority: string, fallbackNamespace: string): string | undefined {
  const host = hostOf(authority);
  if (host === undefined) return undefined;
  // Longer than the longest form can be; said before it is taken apart.
  if (host.length > 63 + 1 + 63 + '.svc.cluster.local'.length) return undefined;

  const [name = '', ...rest] = host.split('.');
  const namespace = namespaceOf(rest, fallbackNamespace);
  return namespace !== undefined && isLabel(name) && isLabel(namespace) ? `${name}.${namespace}` : undefined;
}

/**
 * True for a host name that is no service but may be an alias of one, like `orders.example.com`: three DNS labels or
 * more in lower case, at most 200 characters, and no IPv4 address, which ends in a number (WHATWG URL, "ends in a number").
 */
function isHostName(text: string): boolean {
  if (text.length > HOST_NAME_CHARACTERS_MAX) return false;
  const labels = text.split('.');
  return labels.length > 2 && labels.every(isLabel) && !/^[0-9]+$/.test(labels[labels.length - 1]!);
}

/**
 * What an authority, or an alias of a Service, is looked up by: the service that it names (`serviceOfAuthority`), else
 * the host name in lower case and without the root's dot if an alias may be that; undefined for anything else.
 */
export function nameOfAuthority(authority: string, fallbackNamespace: string): string | undefined {
  const service = serviceOfAuthority(authority, fallbackNamespace);
  if (service !== undefined) return service;
  const host = hostOf(authority);
  return host !== undefined && isHostName(host) ? host : undefined;
}

/** The host of an authority in lower case, without its port and the root's dot; undefined if the port is none. */
function hostOf(authority: string): string | undefined {
  const colon = authority.indexOf(':');
  if (colon >= 0 && !PORT.test(authority.slice(colon + 1))) return undefined;
  const host = (colon < 0 ? authority : authority.slice(0, colon)).toLowerCase();
  return host.endsWith('.') ? host.slice(0, -1) : host;
}

/** True for what a snapshot may be about: a service in its canonical form, or a host name (`isHostName`). */
export function isPublishedName(text: string): boolean {
  return isServiceName(text) || isHostName(text);
}

function namespaceOf(rest: string[], fallback: string): string | undefined {
  if (rest.length === 0) return fallback;
  if (rest.length === 1) return rest[0] === 'mesh' ? fallback : rest[0];
  const suffix = rest.slice(1).join('.');
  return suffix === 'mesh' || suffix === 'svc' || suffix === 'svc.cluster.local' ? rest[0] : undefined;
}

/** `spiffe://<mesh>/ns/<namespace>/sa/<service>` of a workload that speaks for a service. */
export function workloadId(mesh: string, service: string): string {
  const { name, namespace } = serviceParts(service);
  return `${SPIFFE}${mesh}/ns/${namespace}/sa/${name}`;
}

/** `spiffe://<mesh>/agent/<host>` */
export function agentId(mesh: string, agent: string): string {
  return `${SPIFFE}${mesh}/agent/${agent}`;
}

/** The service that a workload's SPIFFE ID of this mesh speaks for; undefined for other IDs and other text. */
export function serviceOfWorkloadId(mesh: string, id: string): string | undefined {
  const prefix = `${SPIFFE}${mesh}/ns/`;
  if (!id.startsWith(prefix)) return undefined;
  const [namespace = '', kind, name = '', extra] = id.slice(prefix.length).split('/', 4);
  if (kind !== 'sa' || extra !== undefined) return undefined;
  return isLabel(name) && isLabel(namespace) ? `${name}.${namespace}` : undefined;
}

/** The agent that an agent's SPIFFE ID of this mesh names; undefined for other IDs and other text. */
export function agentOfId(mesh: string, id: string): string | undefined {
  const prefix = agentId(mesh, '');
  const agent = id.startsWith(prefix) ? id.slice(prefix.length) : '';
  return isLabel(agent) ? agent : undefined;
}
