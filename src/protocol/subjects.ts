/**
 * Every subject and queue group of the mesh, built and read in this one place.
 * Builders trust their arguments: names are checked where they enter (config, packets, authorities).
 */
import { serviceParts } from './names.ts';

/** Every agent that serves a service subscribes to its subject in this queue group. */
export const QUEUE = 'weft';

/** Requests to any endpoint of a service; published to, and subscribed to in `QUEUE`. */
export function serviceSubject(mesh: string, service: string): string {
  const { name, namespace } = serviceParts(service);
  return `weft.${mesh}.svc.${namespace}.${name}`;
}

/** Requests to one endpoint. */
export function instanceSubject(mesh: string, service: string, agent: string): string {
  const { name, namespace } = serviceParts(service);
  return `weft.${mesh}.ins.${namespace}.${name}.${agent}`;
}

/** Requests to one process of an endpoint: when it is gone nobody is there, and not its successor with other keys. */
export function processSubject(mesh: string, service: string, agent: string, fingerprint: string): string {
  return `${instanceSubject(mesh, service, agent)}.${fingerprint}`;
}

/** Packets to one agent process; `session` is 16 hex digits. */
export function receiveSubject(mesh: string, agent: string, session: string): string {
  return `weft.${mesh}.rx.${agent}.${session}`;
}

/** Reply subject of a request packet, where the bus says that nobody is there; `receive` from `receiveSubject`. */
export function replySubject(receive: string, counter: number): string {
  return `${receive}.${counter}`;
}

/** What an agent subscribes to for all its reply subjects. */
export function repliesSubject(receive: string): string {
  return `${receive}.*`;
}

/** The packet that a reply subject of ours is about; NaN for a subject that is none. */
export function counterOfReply(subject: string): number {
  return Number(subject.slice(subject.lastIndexOf('.') + 1));
}
