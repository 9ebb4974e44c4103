/** Completion scripts, made from the commands as they are. */
import type { Command, Option } from 'commander';
import { KINDS } from '../controller/resources/resource.ts';
import { EXIT, UsageError } from './exit.ts';
import { VIEWS } from './get.ts';

interface Completed {
  readonly name: string;
  readonly description: string;
  readonly options: readonly Option[];
  /** What may follow beside options and files. */
  readonly words: readonly string[];
}

const KIND_WORDS = KINDS.map(({ schema }) => schema);
const WORDS: Readonly<Record<string, readonly string[]>> = {
  get: [...KIND_WORDS, ...VIEWS],
  describe: [...KIND_WORDS, 'agent'].map((word) => `${word}/`),
  delete: KIND_WORDS.map((word) => `${word}/`),
  history: KIND_WORDS.map((word) => `${word}/`),
  rollback: KIND_WORDS.map((word) => `${word}/`),
  explain: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'],
  completion: ['bash', 'zsh', 'fish'],
};

/** `weft completion`: prints the script. @throws UsageError for another shell */
export function completion(shell: string, weft: Command): number {
  const script = Object.hasOwn(SCRIPTS, shell) ? SCRIPTS[shell] : undefined;
  if (script === undefined) throw new UsageError('completion: expected bash, zsh or fish');
  const commands = weft.commands.map((command) => ({
    name: command.name(),
    description: command.description(),
    options: [...command.options, ...command.commands.flatMap(({ options }) => options)],
    words: WORDS[command.name()] ?? command.commands.map((sub) => sub.name()),
  }));
  process.stdout.write(script(commands));
  return EXIT.done;
}

const SCRIPTS: Readonly<Record<string, (commands: readonly Completed[]) => string>> = {
  bash,
  zsh,
  fish,
};

function bash(commands: readonly Completed[]): string {
  return `_weft() {
  local words cur=\${COMP_WORDS[COMP_CWORD]}
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${names(commands)}'
  else
    case \${COMP_WORDS[1]} in
${commands.map((command) => `      ${command.name}) words='${followers(command)}' ;;`).join('\n')}
    esac
  fi
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  # A kind is followed by its name.
  if [ "\${#COMPREPLY[@]}" -eq 1 ] && [ "\${COMPREPLY[0]%/}" != "\${COMPREPLY[0]}" ]; then
    compopt -o nospace 2>/dev/null
  fi
}
complete -o default -F _weft weft
`;
}

function zsh(commands: readonly Completed[]): string {
  const described = commands.map(
    ({ name, description }) => `    ${quoted(`${name}:${description.replaceAll(':', '\\:')}`)}`,
  );
  return `#compdef weft
_weft() {
  local -a commands
  commands=(
${described.join('\n')}
  )
  if (( CURRENT == 2 )); then
    _describe command commands
    return
  fi
  case $words[2] in
${commands.map((command) => `    ${command.name}) compadd -- ${followers(command)} ;;`).join('\n')}
  esac
  _files
}
compdef _weft weft
`;
}

function fish(commands: readonly Completed[]): string {
  const lines = commands.flatMap(({ name, description, options, words }) => {
    const seen = `complete -c weft -n '__fish_seen_subcommand_from ${name}'`;
    return [
      `complete -c weft -n __fish_use_subcommand -f -a ${name} -d ${quoted(description)}`,
      ...(words.length === 0 ? [] : [`${seen} -a '${words.join(' ')}'`]),
      ...options.map((option) => {
        const short = option.short === undefined ? '' : ` -s ${option.short.slice(1)}`;
        const long = option.long === undefined ? '' : ` -l ${option.long.slice(2)}`;
        const value = option.required ? ' -r' : '';
        return `${seen}${short}${long}${value} -d ${quoted(option.description)}`;
      }),
    ];
  });
  return `${lines.join('\n')}\n`;
}

function names(commands: readonly Completed[]): string {
  return commands.map(({ name }) => name).join(' ');
}

function followers({ options, words }: Completed): string {
  return [...words, ...options.flatMap(({ long }) => (long === undefined ? [] : [long]))].join(' ');
}

/** In single quotes, which bash, zsh and fish read alike once there is none inside. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", '’')}'`;
}
