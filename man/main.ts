/** Writes the manual pages, the completions and the help: node … VERSION DIRECTORY */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { programs } from './all-programs.js';
import { commandsHelp, helpTexts } from './commands-help.js';
import { bashCompletion } from './completions/bash.js';
import { fishCompletion } from './completions/fish.js';
import { zshCompletion } from './completions/zsh.js';
import { programPage } from './pages/page-layout.js';
import { sandboxCfgPage } from './pages/sandbox.cfg.5.js';
import { virtSandboxHelp } from './virt-sandbox-help.js';

const [, , version = '', directory = ''] = argv;

function write(path: string, text: string): void {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

// The directories are those below a prefix, so an installation copies them.
for (const program of programs) {
  const { name } = program;
  write(`share/man/man1/${name}.1`, programPage(program, { version }));
  const offered = program.offered ?? program;
  write(`share/bash-completion/completions/${name}`, bashCompletion(offered));
  write(`share/zsh/site-functions/_${name}`, zshCompletion(offered));
  write(`share/fish/vendor_completions.d/${name}.fish`, fishCompletion(offered));
}
write('share/man/man5/sandbox.cfg.5', sandboxCfgPage({ version }));
write('help/virt-sandbox.txt', await virtSandboxHelp());
for (const texts of helpTexts) for (const [name, text] of await commandsHelp(texts)) write(`help/${name}.txt`, text);
