/** Completion for zsh, a function of its completion system. */
import { type Completion, type Listed, listed, type Program } from '../program-description.js';

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

# Words. After a word that ends with = or : or / the value goes on.
${id}_words() {
    compadd -S '' -- \${(M)@:#*[=:/]}
    compadd -- \${@:#*[=:/]}
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

${id}() {
${body}
}

${id} "$@"
`;
}

function commandBody(program: Program, id: string): string {
  const commands = Object.entries(program.commands ?? {});
  const names = commands.map(([name, { describe }]) => `            '${quoted(name)}:${quoted(describe)}'`).join('\n');
  const argument =
    program.argument === undefined ? '' : ` \\\n                '*:argument:${action(program.argument, id)}'`;
  const cases = commands.map(
    ([name, { options }]) => `            ${name})
                _arguments -s -S : \\
${specs(listed(options, program.details), id, '                    ').replace(/ \\$/, '')}${argument}
                ;;`,
  );
  return `    local state line
    typeset -A opt_args
    _arguments -s -C : \\
${specs(listed(program.options, program.details), id, '        ')}
        '1:command:->command' \\
        '*::argument:->argument'
    case $state in
        command)
            local -a commands=(
${names}
            )
            _describe command commands
            ;;
        argument)
            case $words[1] in
${cases.join('\n')}
            esac
            ;;
    esac`;
}

/** One specification of _arguments for each option, one a line, each line with a backslash at its end. */
function specs(all: readonly Listed[], id: string, indent: string): string {
  return all.map((option) => `${indent}${spec(option, id)} \\`).join('\n');
}

function spec({ name, short, words, describe, takesValue, repeats, detail }: Listed, id: string): string {
  const value = takesValue
    ? `:${quoted(detail.value ?? 'VALUE').replaceAll(':', '\\:')}:${action(detail.complete ?? 'none', id)}`
    : '';
  const text = `[${quoted(describe).replaceAll(/[[\]]/g, '\\$&').replaceAll(':', '\\:')}]${value}`;
  // --help and --version exclude every other option.
  const excluded = repeats ? "'*'" : name === 'help' || name === 'version' ? "'(- *)'" : `'(${words.join(' ')})'`;
  const long = takesValue ? `--${name}=` : `--${name}`;
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
