/** The two ways of a request through an agent: local application → mesh, and mesh → local application. */
export type Side = 'outbound' | 'inbound';
