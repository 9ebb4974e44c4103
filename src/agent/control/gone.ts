import type { EndpointList } from '../../protocol/endpoint-list.ts';
import type { PeerIdentity } from '../../protocol/introduction.ts';

/**
 * The agent processes that a list has and the next one has not: they have gone, or another process has their name.
 * One that is unhealthy or draining is there; one whose document was renewed has the same key.
 */
export function goneProcesses(
  before: EndpointList | undefined,
  after: EndpointList,
  identify: (document: string) => PeerIdentity | undefined,
): PeerIdentity[] {
  const gone: PeerIdentity[] = [];
  if (before === undefined) return gone;
  const present = new Map(after.endpoints.map(({ agent, document }) => [agent, document]));
  for (const { agent, document } of before.endpoints) {
    const now = present.get(agent);
    if (now === document) continue;
    const was = identify(document);
    if (was === undefined) continue;
    const is = now === undefined ? undefined : identify(now);
    if (now === undefined || (is !== undefined && !is.publicKey.equals(was.publicKey))) gone.push(was);
  }
  return gone;
}
