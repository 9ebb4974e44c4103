/**
 * Has the client of the bus refuse a server without TLS if one of the addresses says `tls://`: by itself it takes that for
 * `nats://`, and whoever stands between them could leave TLS away.
 */
export function natsTls(servers: string | readonly string[] = []): { readonly tls?: Record<string, never> } {
  return [servers].flat().some((server) => server.startsWith('tls://')) ? { tls: {} } : {};
}
