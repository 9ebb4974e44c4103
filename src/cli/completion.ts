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
    options: [...command.options, ...command.commands.flatMap(({ options }) => options)].filter(
      ({ hidden }) => !hidden,
    ),
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
  local words cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]}
  # --output=json comes as three words.
  if [ "$cur" = = ]; then cur=; elif [ "$prev" = = ]; then prev=\${COMP_WORDS[COMP_CWORD-2]}; fi
  if [ "$COMP_CWORD" -eq 1 ]; then
    words='${names(commands)}'
  else
    case $prev in
${valued(commands)
  .map(([flag, values]) => `      ${flag}) words='${values.join(' ')}' ;;`)
  .join('\n')}
      *) case \${COMP_WORDS[1]} in
${commands.map((command) => `        ${command.name}) words='${followers(command)}' ;;`).join('\n')}
      esac ;;
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

/** To be sourced, or put as `_weft` into a folder of `fpath`. */
function zsh(commands: readonly Completed[]): string {
  const described = commands.map(
    ({ name, description }) => `    ${quoted(`${name}:${description.replaceAll(':', '\\:')}`)}`,
  );
  const offered = (command: Completed) => {
    const kinds = command.words.filter((word) => word.endsWith('/'));
    const nospace = kinds.length === 0 ? '' : `compadd -S '' -- ${kinds.join(' ')}; `;
    const rest = followers({ ...command, words: command.words.filter((word) => !kinds.includes(word)) });
    return `    ${command.name}) ${nospace}compadd -- ${rest} ;;`;
  };
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
  local option=$words[CURRENT-1]
  if [[ $words[CURRENT] == --*=* ]]; then
    option=\${words[CURRENT]%%=*}
    compset -P '*='
  fi
  case $option in
${valued(commands)
  .map(([flag, values]) => `    ${flag}) compadd -- ${values.join(' ')}; return ;;`)
  .join('\n')}
  esac
  case $words[2] in
${commands.map(offered).join('\n')}
  esac
  _files
}
if [[ $funcstack[1] == _weft ]]; then
  _weft
else
  (( $+functions[compdef] )) || { autoload -Uz compinit && compinit }
  compdef _weft weft
fi
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
        const values = option.argChoices === undefined ? '' : ` -f -a '${option.argChoices.join(' ')}'`;
        const value = option.required ? ` -r${values}` : '';
        return `${seen}${short}${long}${value} -d ${quoted(option.description)}`;
      }),
    ];
  });
  return `${lines.join('\n')}\n`;
}

/** The options that take one of a few values. */
function valued(
  commands: readonly Completed[],
): readonly (readonly [flag: string, values: readonly string[]])[] {
  const found = new Map<string, readonly string[]>();
  for (const { short, long, argChoices } of commands.flatMap(({ options }) => options)) {
    if (argChoices === undefined) continue;
    for (const flag of [short, long]) if (flag !== undefined) found.set(flag, argChoices);
  }
  return [...found];
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
