/** Completion for fish. */
import { argumentOf, type Completion, groupsOf, type Listed, listed, type Program } from '../program-description.js';
import { packagesLine, unitsLine } from './host-lists.js';

/** The completion of a program: a file of vendor_completions.d. */
export function fishCompletion(program: Program): string {
  const id = `__${program.name.replaceAll('-', '_')}`;
  const { name } = program;
  const lines = program.commands ? commandLines(program, id) : runningLines(program, id);
  return `# fish completion for ${name}, made from the table of its options

# Prints the words after the options, one a line. The last is the word at the cursor.
# Fails if the options go on, or if an option still lacks its value. The arguments are the word that may be the first
# option, and the options that take a value.
function ${id}_rest
    set -l words (commandline -xpc) (commandline -ct)
    set -l value no
    for at in (seq $argv[1] (count $words))
        set -l word $words[$at]
        if test $value = yes
            set value no
            continue
        end
        switch $word
            case --
                test $at -lt (count $words); or return 1
                printf '%s\\n' $words[(math $at + 1)..]
                return 0
            case '--*=*'
            case '--*'
                contains -- $word $argv; and set value yes
            case -
                printf '%s\\n' $words[$at..]
                return 0
            case '-*'
                for index in (seq 2 (string length -- $word))
                    contains -- -(string sub -s $index -l 1 -- $word) $argv; or continue
                    test $index -eq (string length -- $word); and set value yes
                    break
                end
            case ''
                test $at -lt (count $words); and return 1
                printf '\\n'
                return 0
            case '*'
                printf '%s\\n' $words[$at..]
                return 0
        end
    end
    return 1
end

# TYPE:NAME=FILE; the arguments are the types.
function ${id}_typed
    set -l value (commandline -ct | string replace -r -- '^(--[^=]*=|-[A-Za-z])(?=[a-z])' '')
    if string match -q -- '*=*' $value
        set -l parts (string split -m 1 -- = $value)
        printf '%s\\n' $parts[1]=(__fish_complete_path $parts[2])
    else if string match -q -- '*:*' $value
        set -l parts (string split -m 1 -- : $value)
        printf '%s\\n' $parts[1]:(__fish_complete_directories $parts[2] '')
    else
        printf '%s:\\n' $argv
    end
end

# Words, separated by commas.
function ${id}_list
    set -l before (commandline -ct | string replace -r -- '^--[^=]*=' '' | string match -r -- '^.*,')
    printf '%s\\n' "$before"$argv
end

# GUEST=HOST
function ${id}_paths
    set -l value (commandline -ct | string replace -r -- '^--[^=]*=' '')
    if string match -q -- '*=*' $value
        set -l parts (string split -m 1 -- = $value)
        printf '%s\\n' $parts[1]=(__fish_complete_path $parts[2])
    else
        __fish_complete_path $value
    end
end

# Prints the sandboxes that run, each with the text in the argument behind it.
function ${id}_sandboxes
    ${id}_names /run/libvirt-sandbox ~/.cache/libvirt-sandbox | string replace -r -- '$' "$argv"
end

function ${id}_pools
    ${id}_names /run/libvirt-sandbox-pools ~/.cache/libvirt-sandbox-pools
end

function ${id}_images
    virt-sandbox-image list --quiet 2>/dev/null
end

function ${id}_services
    virt-sandbox-service list --quiet 2>/dev/null
end

function ${id}_units
    ${unitsLine(quoted)}
end

function ${id}_packages
    ${packagesLine(quoted)}
end

function ${id}_sandbox_paths
    ${id}_sandboxes :
    __fish_complete_path (commandline -ct)
end

function ${id}_names
    for directory in $argv
        test -d $directory; and command ls $directory
    end
end

complete -c ${name} -f
${lines.join('\n')}
`;
}

/** Completes the command line in the arguments, whose last is the word at the cursor. */
const COMMAND_LINE = (id: string) => `
# Completes the command line that is run: the arguments. The last is the word at the cursor.
function ${id}_command
    test (count $argv) -ge 1
    or return
    if test (count $argv) -eq 1
        __fish_complete_command
        return
    end
    complete -C (string join ' ' -- (string escape -- $argv[..-2]) (commandline -ct))
end
`;

const SEEN = '__fish_seen_subcommand_from';

/** A condition: the command was typed. Another one may have its name as the second word. */
function seenWords(command: string, groups: ReadonlyMap<string, readonly string[]>): string {
  const [first = '', second] = command.split(' ');
  if (second !== undefined) return `${SEEN} ${first}; and ${SEEN} ${second}`;
  const others = [...groups].filter(([, words]) => words.includes(first)).map(([group]) => group);
  return others.length === 0 ? `${SEEN} ${first}` : `${SEEN} ${first}; and not ${SEEN} ${others.join(' ')}`;
}

/** A condition: the last word of the command comes next. */
function isNext(command: string, groups: ReadonlyMap<string, readonly string[]>): string {
  const [first = '', second] = command.split(' ');
  if (second === undefined) return '__fish_use_subcommand';
  return `${SEEN} ${first}; and not ${SEEN} ${groups.get(first)?.join(' ') ?? ''}`;
}

/** The options that take a value, as words of the shell. */
function valuedWords(all: readonly Listed[]): string {
  const valued = all.filter((option) => option.takesValue);
  return valued.flatMap((option) => option.words).join(' ');
}

/** The lines of a program that runs another command line. */
function runningLines(program: Program, id: string): readonly string[] {
  const all = listed(program.options, program.details);
  const rest = `${id}_rest 2 ${valuedWords(all)}`;
  return [
    COMMAND_LINE(id),
    `
function ${id}_options
    test (count (${rest})) -le 1
end
`,
    `complete -c ${program.name} -a '(${id}_command (${rest}))'`,
    ...all.map((option) => line(program.name, option, `${id}_options`, id)),
  ];
}

function commandLines(program: Program, id: string): readonly string[] {
  const { name } = program;
  const commands = Object.entries(program.commands ?? {});
  const groups = groupsOf(program);
  const firsts = [...groups].map(
    ([first, words]) => `complete -c ${name} -n __fish_use_subcommand -a ${first} -d ${quoted(words.join(', '))}`,
  );
  const lines = commands.flatMap(([command, { describe, options, runs }]) => {
    const all = listed(options, program.details);
    const seen = seenWords(command, groups);
    const rest = `${id}_rest 3 ${valuedWords(all)}`;
    const argument = argumentOf(program, command);
    return [
      `complete -c ${name} -n ${quoted(isNext(command, groups))} -a ${command.split(' ').at(-1)} -d ${quoted(describe)}`,
      ...all.map((option) => line(name, option, runs ? `${seen}; and test (count (${rest})) -le 1` : seen, id)),
      ...(argument === 'none'
        ? []
        : [
            `complete -c ${name} -n ${quoted(runs ? `${seen}; and test (count (${rest})) -le 1` : seen)} ${offer(argument, id)}`,
          ]),
      ...(runs ? [`complete -c ${name} -n ${quoted(seen)} -a '(${id}_command (${rest})[2..])'`] : []),
    ];
  });
  const all = listed(program.options, program.details).map((option) => line(name, option, '__fish_use_subcommand', id));
  const running = commands.some(([, { runs }]) => runs) ? [COMMAND_LINE(id)] : [];
  return [...running, ...all, ...firsts, ...lines];
}

function line(
  program: string,
  { name, short, describe, takesValue, mayHaveValue, detail }: Listed,
  condition: string,
  id: string,
): string {
  const words = `${short === undefined ? '' : `-s ${short} `}-l ${name}`;
  const offered = takesValue || mayHaveValue ? ` ${offer(detail.complete ?? 'none', id)}` : '';
  const value = takesValue ? ` -r${offered}` : offered;
  return `complete -c ${program} -n ${quoted(condition)} ${words} -d ${quoted(describe)}${value}`;
}

function offer(complete: Completion, id: string): string {
  switch (complete) {
    case 'none':
      return '-f';
    case 'file':
      return '-F';
    case 'directory':
      return '-f -a \'(__fish_complete_directories (commandline -ct | string replace -r -- "^--[^=]*=" "") "")\'';
    case 'user':
      return "-f -a '(__fish_complete_users)'";
    case 'kernel':
      return `-f -a '(${id}_names /lib/modules)'`;
    case 'sandbox':
      return `-f -a '(${id}_sandboxes)'`;
    case 'pool':
      return `-f -a '(${id}_pools)'`;
    case 'image':
      return `-f -a '(${id}_images)'`;
    case 'service':
      return `-f -a '(${id}_services)'`;
    case 'unit':
      return `-f -a '(${id}_units)'`;
    case 'package':
      return `-f -a '(${id}_packages)'`;
    case 'sandbox-path':
      return `-f -a '(${id}_sandbox_paths)'`;
    case 'paths':
      return `-f -a '(${id}_paths)'`;
  }
  if ('words' in complete) return `-f -a '${complete.words.join(' ')}'`;
  if ('list' in complete) return `-f -a '(${id}_list ${complete.list.join(' ')})'`;
  return `-f -a '(${id}_typed ${complete.types.join(' ')})'`;
}

/** In single quotes, where fish knows two escapes. */
function quoted(text: string): string {
  return `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;
}
