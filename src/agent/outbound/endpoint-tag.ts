import { hash } from 'node:crypto';

/**
 * What a session token calls an endpoint: a digest, so that clients learn no name of a host, and of the service too,
 * so that they do not learn either which services share one.
 */
export function endpointTag(service: string, agent: string): string {
  return digest(`endpoint\0${service}\0${agent}`);
}

/** 96 bits of SHA-256 in base64url: 16 characters that may stand in any cookie or header. */
export function digest(text: string): string {
  return hash('sha256', text, 'base64url').slice(0, 16);
}
