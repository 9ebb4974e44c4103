/** The commands by which an operator changes and inspects a running mesh. */
import { type Command, Option } from 'commander';
import { ROLES } from '../protocol/operator.ts';
import { OUTPUT_FORMATS } from './output.ts';

const RESULTS = {
  change: '0 done, 1 refused, or not applied everywhere in time (--wait), 2 faults in files or usage',
  read: '0 done, 1 refused, or there is none of that name, 2 usage',
} as const;
const UNREACHABLE = '3 cannot reach the mesh';

/** Adds them; `finish` takes the exit code. */
export function addOperatorCommands(weft: Command, finish: (code: number) => void): void {
  weft.commandsGroup('Change the mesh:');
  addChanges(weft, finish);
  weft.commandsGroup('Decide whom to trust:');
  addTrust(weft, finish);
  weft.commandsGroup('Look at the mesh:');
  addLooks(weft, finish);
  weft.commandsGroup('The command itself:').helpCommand('help [command]', 'what a command does');
  addCompletion(weft, finish);
}

function addChanges(weft: Command, finish: (code: number) => void): void {
  operator(
    weft
      .command('apply')
      .description('create and change resources, all or none')
      .addOption(files().makeOptionMandatory())
      .addOption(noNamespace())
      .option('--dry-run', 'change nothing, only say what would change'),
    RESULTS.change,
    ['weft apply -f routes/ -f orders.yaml --wait', 'cat orders.yaml | weft apply -f - --dry-run'],
    { waits: true, prints: true },
  ).action(async (options) => finish(await (await import('./apply.ts')).apply(options)));

  operator(
    namespaced(
      weft
        .command('delete')
        .description('delete resources, all or none')
        .argument('[targets...]', 'KIND/NAME')
        .addOption(files())
        .option('--dry-run', 'change nothing, only say what would change'),
    ),
    RESULTS.change,
    ['weft delete httproute/orders -n shop', 'weft delete -f routes/'],
    { waits: true, prints: true },
  ).action(async (targets, options) =>
    finish(await (await import('./delete.ts')).deleteResources(targets, options)),
  );

  operator(
    namespaced(
      target(weft.command('rollback').description('make an earlier revision the present one')).requiredOption(
        '--to <revision>',
        'as `weft history` shows it',
      ),
    ),
    RESULTS.change,
    ['weft rollback httproute/orders --to 12 --wait'],
    { waits: true, prints: true },
  ).action(async (word, name, options) =>
    finish(await (await import('./rollback.ts')).rollback(words(word, name), options)),
  );
}

function addTrust(weft: Command, finish: (code: number) => void): void {
  const token = weft.command('token').description('let hosts join the mesh');
  operator(
    namespaced(
      token
        .command('create')
        .description('make a token with which one host joins, once')
        .requiredOption('--host <name>', 'the host, as its agent.yaml names it')
        .requiredOption('--workloads <services>', 'what it may speak and serve for, with commas')
        .option('--ttl <duration>', 'how long the token can be used', '1h'),
    ),
    '0 done, 1 refused, 2 usage',
    ['weft token create --host app-1 --workloads orders,checkout --ttl 15m'],
    {},
  ).action(async (options) => finish(await (await import('./token.ts')).createToken(options)));

  const operators = weft.command('operator').description('let people and pipelines change the mesh');
  operator(
    operators
      .command('create')
      .description("make an operator's credentials, with the root")
      .argument('<name>', 'what the history calls its holder, like ada or ci-deploy')
      .addOption(
        new Option('--role <role>', 'viewer reads, editor changes resources too, admin all')
          .choices(ROLES)
          .makeOptionMandatory(),
      )
      .option('--ttl <duration>', 'how long they hold', '90d')
      .requiredOption('--out <file>', 'where to write them'),
    '0 done, 2 usage',
    ['weft operator create ada --role editor --out ada.operator'],
    {},
  ).action(async (name, options) =>
    finish(await (await import('./operator.ts')).createOperator(name, options)),
  );

  operator(
    operators
      .command('revoke')
      .description('end what was issued to an operator until now, at once')
      .argument('<name>'),
    '0 done, 1 refused, 2 usage',
    ['weft operator revoke ada'],
    {},
  ).action(async (name, options) =>
    finish(await (await import('./operator.ts')).revokeOperator(name, options)),
  );

  operator(
    weft
      .command('revoke')
      .description('cut an agent off, everywhere and at once')
      .argument('<target>', 'agent/HOST')
      .argument('[name]'),
    '0 done, 1 there is no such agent, 2 usage',
    ['weft revoke agent/app-1'],
    {},
  ).action(async (word, name, options) =>
    finish(await (await import('./revoke.ts')).revoke(words(word, name), options)),
  );

  operator(
    namespaced(
      weft
        .command('rotate')
        .description('replace a key; no request is lost')
        .argument('<target>', 'service/NAME, agent/HOST or root')
        .argument('[name]')
        .option('--timeout <duration>', 'how long to wait for agents', '1m')
        .option('--finish', 'of the root: leave agents behind that have not followed'),
    ),
    '0 done, 1 refused, or not done yet, 2 usage',
    ['weft rotate service/orders', 'weft rotate agent/app-1', 'weft rotate root'],
    {},
  ).action(async (word, name, options) =>
    finish(await (await import('./rotate.ts')).rotate(words(word, name), options)),
  );
}

function addLooks(weft: Command, finish: (code: number) => void): void {
  operator(
    namespaced(
      weft
        .command('get')
        .description('list resources, services, endpoints, agents, identities or operators')
        .argument('<what>', 'KIND, KIND/NAME, services, endpoints, agents, identities, operators or all')
        .argument('[name]')
        .option('-A, --all-namespaces', 'of every namespace'),
    ),
    RESULTS.read,
    ['weft get services', 'weft get all -A -o yaml > backup.yaml', 'weft get httproute/orders -o json'],
    { prints: true },
  ).action(async (word, name, options) =>
    finish(await (await import('./get.ts')).get(words(word, name), options)),
  );

  operator(
    namespaced(
      target(
        weft.command('describe').description('all that is known of one of them'),
        'KIND/NAME, service/NAME or agent/NAME',
      ),
    ),
    RESULTS.read,
    ['weft describe service/orders', 'weft describe httproute/orders -n shop'],
    { prints: true },
  ).action(async (word, name, options) =>
    finish(await (await import('./describe.ts')).describe(words(word, name), options)),
  );

  operator(
    weft
      .command('diff')
      .description('what `apply` of the same files would change')
      .addOption(files().makeOptionMandatory())
      .addOption(noNamespace()),
    '0 nothing, 1 they differ or it is refused, 2 faults in files or usage',
    ['weft diff -f routes/'],
    {},
  ).action(async (options) => finish(await (await import('./diff.ts')).diff(options)));

  operator(
    namespaced(target(weft.command('history').description('the revisions of a resource'))),
    RESULTS.read,
    ['weft history httproute/orders'],
    { prints: true },
  ).action(async (word, name, options) =>
    finish(await (await import('./history.ts')).history(words(word, name), options)),
  );

  operator(
    weft
      .command('audit')
      .description('what was done to the mesh, and by whom')
      .option('--since <duration>', 'how far back', '24h'),
    '0 done, 1 something in the stream is not what controllers have written, 2 usage',
    ['weft audit --since 1h', 'weft audit --since 7d -o json'],
    { prints: true },
  ).action(async (options) => finish(await (await import('./audit.ts')).audit(options)));

  operator(
    weft
      .command('explain')
      .description('what would happen to a request, and why')
      .argument('<method>', 'GET, POST, …')
      .argument('<url>', 'http://orders/v1/x')
      .addOption(repeated('-H, --header <line>', "a header of the request, like 'x-tester: yes'; repeatable"))
      .option('--from <service>', 'the service that asks'),
    '0 it would be served, 1 the mesh would refuse it, 2 usage',
    ["weft explain GET http://orders/v1/x -H 'x-tester: yes' --from checkout"],
    { prints: true },
  ).action(async (method, url, options) =>
    finish(await (await import('./explain.ts')).explainCommand(method, url, options)),
  );

  const authz = weft
    .command('authz')
    .description('who may do what')
    .addHelpText(
      'after',
      `
Examples:
  weft authz check --from checkout --to orders --method GET --path /orders/7

Exit codes: 0 allowed, 1 denied, 2 usage, ${UNREACHABLE}`,
    );
  operator(
    authz
      .command('check')
      .description('may one service do that at another, and by which rule?')
      .option('--from <service>', 'the service that asks (default: somebody without identity)')
      .requiredOption('--to <service>', 'the service that is asked')
      .option('--method <method>', 'GET, POST, …', 'GET')
      .option('--path <path>', 'with its query, if it has one', '/')
      .addOption(repeated('-H, --header <line>', "a header of the request, like 'x-tester: yes'; repeatable"))
      .option('--at <revision>', 'by the policies as they stood then'),
    '0 allowed, 1 denied, or there is no such revision, 2 usage',
    [
      'weft authz check --from checkout --to orders --method GET --path /orders/7',
      'weft authz check --to orders --at 12',
    ],
    { prints: true },
  ).action(async (options) => finish(await (await import('./authz-check.ts')).authzCheck(options)));

  operator(
    weft.command('check').description('is the mesh in order?'),
    '0 nothing has failed, 1 something has, 2 usage',
    ['weft check'],
    { prints: true },
  ).action(async (options) => finish(await (await import('./check.ts')).check(options)));

  weft
    .command('verify')
    .description('what was said in packets that an agent has kept as evidence, by whom, and is it proven?')
    .argument('<file>', 'one that an agent has written, or lines of it')
    .addOption(
      repeated(
        '--root <root>',
        'public root (A…), or the file of a root; repeatable (default: of the context)',
      ),
    )
    .option('--context <file>', 'context file (default: .weft/context.json here or above, or WEFT_CONTEXT)')
    .addOption(
      new Option('-o, --output <format>', 'how to print it').choices(OUTPUT_FORMATS).default('table'),
    )
    .addHelpText(
      'after',
      `
Examples:
  weft verify .weft/data/back/evidence/orders.default.jsonl
  weft verify disputed.jsonl --root ABJHLOVMPA4CI6R5KLNGOB4GSLNIY7IOUPAJC4YFNDLQVIOBYQGUWVLA -o json

Exit codes: 0 all of it is proven, 1 some is not, 2 usage`,
    )
    .action(async (file, options) => finish(await (await import('./verify.ts')).verify(file, options)));
}

function addCompletion(weft: Command, finish: (code: number) => void): void {
  weft
    .command('completion')
    .description('completion for a shell, as a script for it')
    .argument('<shell>', 'bash, zsh or fish')
    .addHelpText(
      'after',
      `
Examples:
  source <(weft completion bash)
  weft completion fish > ~/.config/fish/completions/weft.fish

Exit codes: 0 done, 2 usage`,
    )
    .action(async (shell) => finish((await import('./completion.ts')).completion(shell, weft)));
}

interface Traits {
  /** It has `--wait`. */
  readonly waits?: boolean;
  /** It has `-o`. */
  readonly prints?: boolean;
}

/** What all of them have in common. */
function operator(command: Command, codes: string, examples: readonly string[], traits: Traits): Command {
  if (traits.waits === true) {
    command
      .option('--wait', 'until all agents have applied it')
      .option('--timeout <duration>', 'for --wait', '30s');
  }
  if (traits.prints === true) {
    command.addOption(
      new Option('-o, --output <format>', 'how to print it').choices(OUTPUT_FORMATS).default('table'),
    );
  }
  return command
    .optionsGroup('Which mesh:')
    .option('--context <file>', 'context file (default: .weft/context.json here or above, or WEFT_CONTEXT)')
    .option('--mesh <name>', 'name of the mesh')
    .option('--nats <urls>', 'where its NATS is, several with commas')
    .option('--creds <file>', 'NATS credentials file')
    .option(
      '--operator <file>',
      "an operator's credentials (default: WEFT_OPERATOR, or what the context file says)",
    )
    .option('--root <file>', 'the mesh root (default: root.nk beside the context file)')
    .addHelpText(
      'after',
      `
Examples:
${examples.map((example) => `  ${example}`).join('\n')}

Exit codes: ${codes}, ${UNREACHABLE}`,
    );
}

function namespaced(command: Command): Command {
  return command.option('-n, --namespace <name>', 'namespace (default: default)');
}

/** So that it can be said why there is none. */
function noNamespace(): Option {
  return new Option('-n, --namespace <name>').hideHelp();
}

function target(command: Command, what = 'KIND/NAME'): Command {
  return command.argument('<target>', what).argument('[name]');
}

function words(word: string, name: string | undefined): readonly string[] {
  return name === undefined ? [word] : [word, name];
}

function files(): Option {
  return repeated('-f, --file <path>', 'a file, a folder, or - for stdin; repeatable');
}

function repeated(flags: string, description: string): Option {
  return new Option(flags, description).argParser((value: string, all: readonly string[] = []) => [
    ...all,
    value,
  ]);
}
