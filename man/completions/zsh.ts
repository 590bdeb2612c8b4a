/** Completion for zsh, a function of its completion system. */
import {
  argumentOf,
  type Command,
  type Completion,
  groupsOf,
  type Listed,
  listed,
  type Program,
} from '../program-description.js';
import { packagesLine, posixQuote, unitsLine } from './host-lists.js';

/** The completion of a program: a file of site-functions. */
export function zshCompletion(program: Program): string {
  const id = `_${program.name.replaceAll('-', '_')}`;
  const body = program.commands
    ? commandBody(program, id)
    : `    _arguments -s -S : \\
${specs(listed(program.options, program.details), id, '        ')}
        '(-)1:command: _command_names -e' \\
        '*::argument: _normal'`;
  return `#compdef ${program.name}
# Made from the table of the options of ${program.name}.

# TYPE:NAME=FILE; the arguments are the types.
${id}_typed() {
    if compset -P '*='; then
        _files
    elif compset -P '*:'; then
        _files -/
    else
        compadd -S '' -- "\${@/%/:}"
    fi
}

# Words, separated by commas. After a word that ends with = the value goes on.
${id}_list() {
    compset -P '*,'
    compset -P '*='
    compadd -S '' -- \${(M)@:#*=}
    compadd -S '' -- \${@:#*=}
}

# Words. After a word that ends with = or : or / or @ the value goes on.
${id}_words() {
    compadd -S '' -- \${(M)@:#*[=:/@]}
    compadd -- \${@:#*[=:/@]}
}

# GUEST=HOST
${id}_paths() {
    compset -P '*='
    _files
}

${id}_kernels() {
    compadd -- /lib/modules/*(N/:t)
}

${id}_sandboxes() {
    compadd -- /run/libvirt-sandbox/*(N/:t) ~/.cache/libvirt-sandbox/*(N/:t)
}

${id}_pools() {
    compadd -- /run/libvirt-sandbox-pools/*(N/:t) ~/.cache/libvirt-sandbox-pools/*(N/:t)
}

${id}_images() {
    compadd -- \${(f)"$(virt-sandbox-image list --quiet 2>/dev/null)"}
}

${id}_services() {
    compadd -- \${(f)"$(virt-sandbox-service list --quiet 2>/dev/null)"}
}

${id}_units() {
    ${id}_words \${(f)"$(${unitsLine(posixQuote)})"}
}

${id}_packages() {
    compadd -- \${(f)"$(${packagesLine(posixQuote)})"}
}

# NAME:PATH, or a path of the host.
${id}_sandbox_paths() {
    local -a names=(/run/libvirt-sandbox/*(N/:t) ~/.cache/libvirt-sandbox/*(N/:t))
    # With -Q the colon is not quoted, so the names are quoted here.
    compadd -Q -S : -- \${(q)names}
    _files
}

${id}() {
${body}
}

${id} "$@"
`;
}

function commandBody(program: Program, id: string): string {
  const commands = Object.entries(program.commands ?? {});
  const groups = groupsOf(program);
  const single = commands.filter(([name]) => !name.includes(' '));
  const names: readonly (readonly [string, string])[] = [
    ...single.map(([name, { describe }]) => [name, describe] as const),
    ...[...groups].map(([group, words]) => [group, words.join(', ')] as const),
  ];
  const cases = single.map(([name, command]) => commandCase(program, id, name, command));
  return `    local state line
    typeset -A opt_args
    _arguments -s -C : \\
${specs(listed(program.options, program.details), id, '        ')}
        '1:command:->command' \\
        '*::argument:->argument'
    case $state in
        command)
            local -a commands=(
${described(names)}
            )
            _describe command commands
            ;;
        argument)
            case $words[1] in
${[...cases, ...[...groups.keys()].map((group) => groupCase(program, id, group))].join('\n')}
            esac
            ;;
    esac`;
}

function described(names: readonly (readonly [string, string])[]): string {
  return names.map(([name, describe]) => `            '${quoted(name)}:${quoted(describe)}'`).join('\n');
}

/** @param name the word that calls it */
function commandCase(program: Program, id: string, name: string, { options, runs }: Command, called = name): string {
  const complete = argumentOf(program, called);
  const argument = runs
    ? ` \\\n                '(-)1:argument:${action(complete, id)}' \\\n                '*:::command: _normal'`
    : complete === 'none'
      ? ''
      : ` \\\n                '*:argument:${action(complete, id)}'`;
  return `            ${name})
                _arguments -s -S : \\
${specs(listed(options, program.details), id, '                    ').replace(/ \\$/, '')}${argument}
                ;;`;
}

/** The commands of two words that have the first one in common. */
function groupCase(program: Program, id: string, group: string): string {
  const own = Object.entries(program.commands ?? {}).flatMap(([called, command]) => {
    const [first, second] = called.split(' ');
    return first === group && second !== undefined ? [{ called, second, command }] : [];
  });
  return `            ${group})
                if ((CURRENT == 2)); then
                    local -a commands=(
${described(own.map(({ second, command }) => [second, command.describe]))}
                    )
                    _describe command commands
                    return
                fi
                shift words
                ((CURRENT--))
                case $words[1] in
${own.map(({ called, second, command }) => commandCase(program, id, second, command, called)).join('\n')}
                esac
                ;;`;
}

/** One specification of _arguments for each option, one a line, each line with a backslash at its end. */
function specs(all: readonly Listed[], id: string, indent: string): string {
  return all.map((option) => `${indent}${spec(option, id)} \\`).join('\n');
}

function spec({ name, short, words, describe, takesValue, mayHaveValue, repeats, detail }: Listed, id: string): string {
  const value =
    takesValue || mayHaveValue
      ? `${mayHaveValue ? ':' : ''}:${quoted(detail.value ?? 'VALUE').replaceAll(':', '\\:')}:${action(detail.complete ?? 'none', id)}`
      : '';
  const text = `[${quoted(describe).replaceAll(/[[\]]/g, '\\$&').replaceAll(':', '\\:')}]${value}`;
  // --help and --version exclude every other option.
  const excluded = repeats ? "'*'" : name === 'help' || name === 'version' ? "'(- *)'" : `'(${words.join(' ')})'`;
  // With =- the value is in the same word.
  const long = takesValue ? `--${name}=` : mayHaveValue ? `--${name}=-` : `--${name}`;
  if (short === undefined) return `${excluded}${long}'${text}'`;
  return `${excluded}{-${short}${takesValue ? '+' : ''},${long}}'${text}'`;
}

function action(complete: Completion, id: string): string {
  switch (complete) {
    case 'none':
      return ' ';
    case 'file':
      return '_files';
    case 'directory':
      return '_files -/';
    case 'user':
      return '_users';
    case 'kernel':
      return `${id}_kernels`;
    case 'sandbox':
      return `${id}_sandboxes`;
    case 'pool':
      return `${id}_pools`;
    case 'image':
      return `${id}_images`;
    case 'service':
      return `${id}_services`;
    case 'unit':
      return `${id}_units`;
    case 'package':
      return `${id}_packages`;
    case 'sandbox-path':
      return `${id}_sandbox_paths`;
    case 'paths':
      return `${id}_paths`;
  }
  if ('words' in complete) return ` ${id}_words ${complete.words.map(inAction).join(' ')}`;
  if ('list' in complete) return ` ${id}_list ${complete.list.map(inAction).join(' ')}`;
  return ` ${id}_typed ${complete.types.join(' ')}`;
}

/** A word of an action. zsh splits a specification at colons, so they are escaped. */
function inAction(word: string): string {
  return word.replaceAll(':', '\\:');
}

/** In single quotes. */
function quoted(text: string): string {
  return text.replaceAll("'", "'\\''");
}
