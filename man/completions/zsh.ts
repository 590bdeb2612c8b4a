/** Completion for zsh, a function of its completion system. */
import { argumentOf, type Completion, type Listed, listed, type Program } from '../program-description.js';

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
  const names = commands.map(([name, { describe }]) => `            '${quoted(name)}:${quoted(describe)}'`).join('\n');
  const argument = (name: string, runs: boolean | undefined) => {
    const complete = argumentOf(program, name);
    if (runs)
      return ` \\\n                '(-)1:argument:${action(complete, id)}' \\\n                '*:::command: _normal'`;
    return complete === 'none' ? '' : ` \\\n                '*:argument:${action(complete, id)}'`;
  };
  const cases = commands.map(
    ([name, { options, runs }]) => `            ${name})
                _arguments -s -S : \\
${specs(listed(options, program.details), id, '                    ').replace(/ \\$/, '')}${argument(name, runs)}
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
