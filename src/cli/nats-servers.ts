import { UsageError } from './exit.ts';

const SERVER = /^(?:(?:nats|tls):\/\/[^\s/@]+|(?:\[[0-9A-Fa-f:.]+\]|[\w.-]+)(?::\d{1,5})?)$/;

/**
 * The addresses of `--nats`: several with commas; `localhost:4222` is short for `nats://localhost:4222`.
 * @throws UsageError that quotes nothing, because people put passwords there
 */
export function readNatsServers(text: string): readonly string[] {
  const servers = text.split(',').map((server) => server.trim());
  if (!servers.every((server) => SERVER.test(server))) {
    throw new UsageError(
      '--nats: expected nats://host:port or tls://host:port, several with commas, without user and password ' +
        '(give a credentials file with --creds)',
    );
  }
  return servers.map((server) => (server.includes('://') ? server : `nats://${server}`));
}
