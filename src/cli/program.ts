import { readFileSync } from 'node:fs';
import { Command, CommanderError, Option } from 'commander';
import { EXIT, exitOf } from './exit.ts';
import { addNatsCommands } from './nats-commands.ts';
import { addOperatorCommands } from './operator-commands.ts';

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'silent'];
const EXIT_CODES = `
Exit codes: 0 done, 1 refused or unhealthy, 2 usage or configuration, 3 cannot reach the mesh`;

const logLevel = () =>
  new Option('--log-level <level>', 'what to log on stderr').choices(LOG_LEVELS).default('info');

const defaultAction = (otherwise: string) =>
  new Option(
    '--default-action <action>',
    `what becomes of requests to services that no ALLOW policy is about ${otherwise}`,
  ).choices(['allow', 'deny']);

function createProgram(finish: (code: number) => void): Command {
  const weft = new Command('weft')
    .description('A service mesh over NATS')
    .version(version())
    .exitOverride()
    .showHelpAfterError('(--help after the command says more)')
    .addHelpText('after', EXIT_CODES)
    .commandsGroup('Run a mesh:');

  weft
    .command('up')
    .description('run a whole mesh on this machine: NATS, controller and agents')
    .requiredOption('-f, --file <file>', 'mesh.yaml, see docs/configuration.md')
    .addOption(logLevel())
    .addHelpText('after', EXIT_CODES)
    .action(async (options) => finish(await (await import('./up.ts')).up(options)));

  weft
    .command('agent')
    .description('run the agent of this host')
    .requiredOption('-f, --file <file>', 'agent.yaml, see docs/configuration.md')
    .option('--join <token>', 'join token, @FILE or - for stdin (better than here: WEFT_JOIN_TOKEN)')
    .addOption(logLevel())
    .addHelpText('after', EXIT_CODES)
    .action(async (options) => finish(await (await import('./agent-plan.ts')).writeAgentPlan(options)));

  weft
    .command('controller')
    .description('run a controller of the mesh; of several one leads')
    .requiredOption('--mesh <name>', 'name of the mesh')
    .option('--nats <urls>', 'where its NATS is, several with commas', 'nats://127.0.0.1:4222')
    .option('--creds <file>', 'NATS credentials file')
    .option('--root <file>', 'the mesh root (default: .weft/root.nk here)')
    .option('--admin <address>', 'loopback address of its HTTP endpoint', '127.0.0.1:15999')
    .addOption(defaultAction('(default: that of context.json beside the root, else allow)'))
    .addOption(new Option('--own-nats', 'keep the permissions of the nats-server of `weft up`').hideHelp())
    .addOption(logLevel())
    .addHelpText('after', EXIT_CODES)
    .action(async (options) => finish(await (await import('./controller.ts')).controller(options)));

  weft
    .command('init')
    .description('make the root of a new mesh')
    .requiredOption('--mesh <name>', 'name of the mesh, a DNS label')
    .option('--dir <folder>', 'where to put it', '.weft')
    .option('--nats <url>', 'where its NATS is, for the context file', 'nats://127.0.0.1:4222')
    .addOption(defaultAction('(default: allow)'))
    .addHelpText('after', EXIT_CODES)
    .action(async (options) => finish(await (await import('./init.ts')).init(options)));

  addNatsCommands(weft, finish);
  addOperatorCommands(weft, finish);
  return weft;
}

function version(): string {
  const file = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return String((JSON.parse(file) as { version: string }).version);
}

/**
 * Runs one weft command line. Each subcommand is loaded when it is called.
 * @param argv what follows the command's own name.
 * @returns the exit code; whatever was wrong has been said on stderr.
 */
export async function runProgram(argv: readonly string[]): Promise<number> {
  let code: number = EXIT.done;
  try {
    await createProgram((result) => {
      code = result;
    }).parseAsync(argv, { from: 'user' });
  } catch (error) {
    // It has printed what there is to say; for --help and --version that was all that was asked.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    const end = exitOf(error);
    process.stderr.write(`${end.text}\n`);
    code = end.code;
  }
  return code;
}
