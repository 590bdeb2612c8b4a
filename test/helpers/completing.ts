/** Real shells that complete a line, with the completions of the build. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { programs } from '../../man/all-programs.js';
import { AtTerminal } from './pty.js';
import { environment, REPOSITORY, type RunOptions } from './run.js';

const SHARE = join(REPOSITORY, 'dist/share');

export interface CompletingShell {
  readonly name: string;
  /** A reason to skip, or false if the shell is installed. */
  readonly skip: string | false;
  /** @param env changes of its environment */
  open(env: RunOptions['env']): Promise<OpenShell>;
}

export interface OpenShell {
  /** Presses Tab at the end of `line`. @returns all that is offered, and the line afterwards */
  complete(line: string): Promise<{ readonly offered: readonly string[]; readonly line: string }>;
  close(): Promise<void>;
}

const BASH_COMPLETION = '/usr/share/bash-completion/bash_completion';
const SIZE = { rows: 1000, columns: 300 };

function missing(...paths: readonly string[]): string | false {
  const absent = paths.filter((path) => !existsSync(path));
  return absent.length === 0 ? false : `there is no ${absent.join(' and no ')}`;
}

/** PATH with virt-sandbox in it. */
const PATH = `${REPOSITORY}bin:${process.env['PATH'] ?? ''}`;
const CLEAR = '\x15';
const SAY = '\x14';

/** A shell at a terminal. Ctrl+T, which begins no longer sequence that would be waited for, makes it print its line. */
async function interactive(
  program: string,
  args: readonly string[],
  setup: readonly string[],
  changes: RunOptions['env'],
): Promise<OpenShell> {
  const env = { TERM: 'dumb', HISTFILE: undefined, PATH, ...changes };
  const terminal = new AtTerminal(args, SIZE, { program, env });
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the first prompt may ask for bracketed paste
  const prompt = () => terminal.until(/READY> (?:\x1b\[\?2004h)?$/);
  terminal.type(`${setup.join('; ')}; PS1='REA''DY> '\n`);
  await prompt();
  return {
    async complete(line) {
      terminal.type(`${line}\t${SAY}`);
      const [, shown = '', edited = ''] = await terminal.until(/^([\s\S]*)LINE<([^>]*)>END/);
      terminal.type(`${CLEAR}\n`);
      await prompt();
      // biome-ignore lint/suspicious/noControlCharactersInRegex: a terminal is controlled by them
      const plain = shown.replace(/\x1b\[[0-9;?]*[A-Za-z]/g, '');
      return { offered: [...plain.split(/\s+/), ...edited.split(/\s+/)], line: edited };
    },
    async close() {
      terminal.type(`${CLEAR}exit\n`);
      await terminal.exited();
      await terminal.close();
    },
  };
}

const bash: CompletingShell = {
  name: 'bash',
  skip: missing('/bin/bash', BASH_COMPLETION),
  open: (env) =>
    interactive(
      '/bin/bash',
      ['--norc', '--noprofile', '-i'],
      [
        `source ${BASH_COMPLETION}`,
        `source ${SHARE}/bash-completion/completions/virt-sandbox`,
        `source ${SHARE}/bash-completion/completions/virt-sandbox-bake`,
        `source ${SHARE}/bash-completion/completions/virt-sandbox-ctl`,
        `source ${SHARE}/bash-completion/completions/virt-sandbox-image`,
        `source ${SHARE}/bash-completion/completions/virt-sandbox-service`,
        "bind 'set show-all-if-ambiguous on' 'set completion-query-items 0' 'set page-completions off'",
        "bind 'set enable-bracketed-paste off' 'set bell-style none'",
        'bind -x \'"\\C-t": printf "LINE<%s>END\\n" "$READLINE_LINE"\'',
      ],
      env,
    ),
};

const zsh: CompletingShell = {
  name: 'zsh',
  skip: missing('/usr/bin/zsh'),
  open: (env) =>
    interactive(
      '/usr/bin/zsh',
      ['-f', '-i'],
      [
        `fpath=(${SHARE}/zsh/site-functions $fpath)`,
        'autoload -Uz compinit',
        'compinit -D -u',
        'unset zle_bracketed_paste',
        'setopt no_prompt_sp no_auto_menu auto_list list_rows_first no_beep',
        'LISTMAX=10000',
        // A message, and not printf behind zle -I: the terminal would be out of raw mode for a moment, in which ^U and the
        // newline that follow would run the line.
        'say() { zle -M "LINE<$BUFFER>END" }',
        'zle -N say',
        "bindkey -e; bindkey '^T' say",
      ],
      env,
    ),
};

const fish: CompletingShell = {
  name: 'fish',
  skip: missing('/usr/bin/fish'),
  // fish completes without a terminal too, by the same code as for Tab.
  open: async (env) => ({
    async complete(line) {
      const directory = `${SHARE}/fish/vendor_completions.d`;
      const sources = programs.map(({ name }) => `source ${directory}/${name}.fish`);
      const script = [...sources, 'complete -C $argv[1]'].join('; ');
      const text = execFileSync('/usr/bin/fish', ['-c', script, line], {
        encoding: 'utf8',
        env: environment({ PATH, ...env }),
      });
      const offered = text.split('\n').map((each) => each.split('\t')[0] ?? '');
      return { offered: offered.filter((each) => each !== ''), line };
    },
    close: async () => {},
  }),
};

export const shells: readonly CompletingShell[] = [bash, zsh, fish];
