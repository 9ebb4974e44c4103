/** The commands about the NATS that a mesh runs on. */
import type { Command } from 'commander';

/** Adds them; `finish` takes the exit code. */
export function addNatsCommands(weft: Command, finish: (code: number) => void): void {
  const nats = weft.command('nats').description('the NATS that the mesh runs on');
  nats
    .command('config')
    .description(
      'a nats-server configuration in which each part of the mesh may do what it has to, and no more',
    )
    .option('--out <file>', 'where to write it (default: stdout)')
    .option('--pid-file <file>', "the server's process id: it is told to read the new configuration")
    .option('--listen <address>', 'where the server takes connections', '0.0.0.0:4222')
    .option('--store-dir <folder>', 'where JetStream keeps its files', '/var/lib/nats')
    .option('--max-store <size>', 'how much it may keep there, in MB, GB or TB', '4GB')
    .optionsGroup('TLS:')
    .option('--tls-cert <file>', 'certificate of the server, PEM')
    .option('--tls-key <file>', 'its private key, PEM')
    .option('--tls-ca <file>', 'who has signed the certificates of the servers of a cluster, PEM')
    .optionsGroup('Who is enrolled:')
    .option('--first', 'nobody yet: there is no server to ask')
    .option('--context <file>', 'context file (default: .weft/context.json here or above, or WEFT_CONTEXT)')
    .option('--mesh <name>', 'name of the mesh')
    .option('--nats <urls>', 'where its NATS is now, several with commas')
    .option('--creds <file>', 'NATS credentials file')
    .option('--operator <file>', "an operator's credentials (default: WEFT_OPERATOR, else the root)")
    .option('--root <file>', 'the mesh root; its folder has the keys of the NATS users')
    .addHelpText(
      'after',
      `
Examples:
  weft nats config --first --out /etc/nats/weft.conf --store-dir /var/lib/nats
  weft nats config --out /etc/nats/weft.conf --pid-file /run/nats/nats.pid

Exit codes: 0 done, 1 refused, 2 usage, 3 cannot reach the mesh, and nothing was written`,
    )
    .action(async (options) => finish(await (await import('./nats-config.ts')).natsConfig(options)));
}
