/** Completion for bash, which bash-completion loads. */
import { argumentOf, type Completion, groupsOf, type Listed, listed, type Program } from '../program-description.js';
import { packagesLine, posixQuote, unitsLine } from './host-lists.js';

/** The completion file of a program. */
export function bashCompletion(program: Program): string {
  const id = `_${program.name.replaceAll('-', '_')}`;
  return `# bash completion for ${program.name}, made from the table of its options

# Offers the words $2… that begin with $1. After a word that ends with = or : or / or @ the value goes on.
${id}_words() {
    local cur=$1 word
    shift
    for word; do
        [[ $word == "$cur"* ]] || continue
        COMPREPLY+=("$word")
        [[ $word == *[=:/@] ]] && compopt -o nospace
    done
}

# Offers paths of the host that begin with $2, each with the text $1 before it. With -d only directories.
${id}_paths() {
    local kind=-f before=$1 path=$2
    [[ \${3-} == -d ]] && kind=-d
    compopt -o filenames
    while IFS= read -r path; do COMPREPLY+=("$before$path"); done < <(compgen $kind -- "$path")
}

# Offers the names of running sandboxes that begin with $1, each with the text $2 behind it.
${id}_sandboxes() {
    local directory name
    for directory in /run/libvirt-sandbox/*/ ~/.cache/libvirt-sandbox/*/; do
        [[ -d $directory ]] || continue
        name=\${directory%/}
        printf -v name '%q' "\${name##*/}"
        ${id}_words "$1" "$name$2"
    done
}

# Offers the names of pools that begin with $1.
${id}_pools() {
    local directory name
    for directory in /run/libvirt-sandbox-pools/*/ ~/.cache/libvirt-sandbox-pools/*/; do
        [[ -d $directory ]] || continue
        name=\${directory%/}
        printf -v name '%q' "\${name##*/}"
        ${id}_words "$1" "$name"
    done
}

# Offers the names of images that begin with $1.
${id}_images() {
    local name
    while IFS= read -r name; do
        printf -v name '%q' "$name"
        ${id}_words "$1" "$name"
    done < <(virt-sandbox-image list --quiet 2>/dev/null)
}

# Offers the names of services that begin with $1.
${id}_services() {
    local name
    while IFS= read -r name; do
        printf -v name '%q' "$name"
        ${id}_words "$1" "$name"
    done < <(virt-sandbox-service list --quiet 2>/dev/null)
}

# Offers units of this host that begin with $1.
${id}_units() {
    local -a names
    mapfile -t names < <(${unitsLine(posixQuote)})
    ${id}_words "$1" "\${names[@]//\\\\/\\\\\\\\}"
}

# Offers installed packages that begin with $1.
${id}_packages() {
    local -a names
    mapfile -t names < <(${packagesLine(posixQuote)})
    ${id}_words "$1" "\${names[@]}"
}

# Offers values of option $1 that begin with $2.
${id}_value() {
    local option=$1 value=$2
    case $option in
${program.commands ? commandValues(program, id) : values(listed(program.options, program.details), id, '        ')}
    esac
}

${id}() {
    local cur prev words cword
    _get_comp_words_by_ref -n '=:' cur prev words cword
    COMPREPLY=()

    local at=1 index letter option= command=${program.commands ? ' runs=' : ''}
    local valued options
${program.commands ? commandTables(program) : tables('    ', listed(program.options, program.details))}

    # Finds where the options end, and the option whose value the last word is.
    for (( ; at < cword; at++)); do
        case \${words[at]} in
            --) ${program.runs === 'a command' ? '((at++)) ; break' : 'return'} ;;
            --*=*) ;;
            --*) [[ $valued == *" \${words[at]} "* ]] && option=\${words[at]} && ((at++)) ;;
            -?*)
                for ((index = 1; index < \${#words[at]}; index++)); do
                    letter=-\${words[at]:index:1}
                    [[ $valued == *" $letter "* ]] || continue
                    ((index + 1 < \${#words[at]})) || { option=$letter; ((at++)); }
                    break
                done
                ;;
            *) ${program.commands ? '[[ -n $runs ]] && ((at > 1)) && break ' : 'break '};;
        esac
    done

    if ((at == cword + 1)); then
        ${id}_value "$option" "$cur"
        ${id}_trim "$cur"
    elif ((at == cword)) && [[ $cur == --*=* && \${words[at-1]} != -- ]]; then
        ${id}_value "\${cur%%=*}" "\${cur#*=}"
        [[ $COMP_WORDBREAKS == *=* ]] || COMPREPLY=("\${COMPREPLY[@]/#/\${cur%%=*}=}")
        ${id}_trim "\${cur#*=}"
    elif ((at == cword)) && [[ $cur == -* && \${words[at-1]} != -- ]]; then
        # shellcheck disable=SC2086 # words
        ${id}_words "$cur" $options
${program.commands ? commandArguments(program, id) : commandLine()}
    fi
}

# readline replaces only the part of the word after the last = or :.
${id}_trim() {
    local breaks=
    [[ $COMP_WORDBREAKS == *=* ]] && breaks+==
    [[ $COMP_WORDBREAKS == *:* ]] && breaks+=:
    [[ -n $breaks ]] || return
    local kept=\${1##*[$breaks]}
    local before=\${1%"$kept"}
    COMPREPLY=("\${COMPREPLY[@]#"$before"}")
}

complete -F ${id} ${program.name}
`;
}

/** Tables of all option words, and of the words that take a value. */
function tables(indent: string, all: readonly Listed[]): string {
  const words = (some: readonly Listed[]) => some.flatMap((option) => option.words).join(' ');
  return `${indent}options='${words(all)}'
${indent}valued=' ${words(all.filter((option) => option.takesValue))} '`;
}

function commandTables(program: Program): string {
  const cases = Object.entries(program.commands ?? {}).map(
    ([name, { options, runs }]) =>
      `        ${label(name)})\n${tables('            ', listed(options, program.details))}${runs ? '\n            runs=yes' : ''}\n            ;;`,
  );
  const groups = [...groupsOf(program).keys()].map(
    (group) => `    [[ $command == ${group} ]] && command+=" \${words[2]-}"\n`,
  );
  return `    [[ \${words[1]} != -* ]] && command=\${words[1]}
${groups.join('')}    case $command in
${cases.join('\n')}
        *)
${tables('            ', listed(program.options, program.details))}
            ;;
    esac`;
}

function values(all: readonly Listed[], id: string, indent: string): string {
  return all
    .filter((option) => option.takesValue || option.mayHaveValue)
    .map(({ words, detail }) => `${indent}${words.join('|')}) ${offer(detail.complete ?? 'none', id)} ;;`)
    .join('\n');
}

/** Options of the same name have the same values in every command. */
function commandValues(program: Program, id: string): string {
  const all = Object.values(program.commands ?? {}).flatMap(({ options }) => listed(options, program.details));
  const once = new Map(all.map((option) => [option.words.join('|'), option]));
  return values([...once.values()], id, '        ');
}

/** A command that adds to COMPREPLY for $value. */
function offer(complete: Completion, id: string): string {
  switch (complete) {
    case 'none':
      return ':';
    case 'file':
      return `${id}_paths '' "$value"`;
    case 'directory':
      return `${id}_paths '' "$value" -d`;
    case 'user':
      return 'mapfile -t COMPREPLY < <(compgen -u -- "$value")';
    case 'kernel':
      return `${id}_words "$value" $(cd /lib/modules 2>/dev/null && printf '%s ' *)`;
    case 'sandbox':
      return `${id}_sandboxes "$value" ''`;
    case 'pool':
      return `${id}_pools "$value"`;
    case 'image':
      return `${id}_images "$value"`;
    case 'service':
      return `${id}_services "$value"`;
    case 'unit':
      return `${id}_units "$value"`;
    case 'package':
      return `${id}_packages "$value"`;
    case 'sandbox-path':
      // As file names, those with a colon would be quoted.
      return `${id}_sandboxes "$value" :
                if ((\${#COMPREPLY[@]})); then
                    mapfile -t -O "\${#COMPREPLY[@]}" COMPREPLY < <(compgen -f -- "$value")
                else
                    ${id}_paths '' "$value"
                fi`;
    case 'paths':
      return `if [[ $value == *=* ]]; then ${id}_paths "\${value%%=*}=" "\${value#*=}"; else ${id}_paths '' "$value"; compopt -o nospace; fi`;
  }
  if ('words' in complete) return `${id}_words "$value" ${complete.words.join(' ')}`;
  if ('list' in complete) {
    const words = complete.list.map((word) => `"\${value%"\${value##*,}"}${word}"`).join(' ');
    return `${id}_words "$value" ${words}`;
  }
  const types = complete.types.map((type) => `${type}:`).join(' ');
  return `case $value in
            *=*) ${id}_paths "\${value%%=*}=" "\${value#*=}" ;;
            *:*) ${id}_paths "\${value%%:*}:" "\${value#*:}" -d; compopt -o nospace ;;
            *) ${id}_words "$value" ${types} ;;
        esac`;
}

/** Another command line follows the options. */
function commandLine(): string {
  return `    else
${commandLineAt('at')}`;
}

/** Completes the command line that begins at word `at`, an expression of the shell. */
function commandLineAt(at: string): string {
  return `        # bash has split words at = and :, and counts the parts.
        local original=0 length
        for ((index = 0; index < ${at}; index++)); do
            for ((length = 0; length < \${#words[index]}; original++)); do
                ((length += \${#COMP_WORDS[original]}))
            done
        done
        unset -v words
        if declare -F _command_offset >/dev/null; then
            _command_offset "$original"
        else
            _comp_command_offset "$original"
        fi`;
}

/** A pattern of `case`. */
function label(name: string): string {
  return name.includes(' ') ? `'${name}'` : name;
}

function commandArguments(program: Program, id: string): string {
  const commands = Object.entries(program.commands ?? {});
  const cases = commands.map(([name]) => `            ${label(name)}) ${offer(argumentOf(program, name), id)} ;;`);
  const seconds = [...groupsOf(program)].map(
    ([first, words]) => `    elif ((cword == 2)) && [[ \${words[1]} == ${first} ]]; then
        ${id}_words "$cur" ${words.join(' ')}
`,
  );
  const running = commands.some(([, { runs }]) => runs)
    ? `    elif [[ -n $runs ]] && ((at > 1 && at < cword)); then
${commandLineAt('at + 1')}
`
    : '';
  return `    elif ((cword == 1)); then
        ${id}_words "$cur" ${[...new Set(commands.map(([name]) => name.split(' ', 1)[0]))].join(' ')}
${seconds.join('')}${running}    else
        local value=$cur
        case $command in
${cases.join('\n')}
        esac
        ${id}_trim "$cur"`;
}
