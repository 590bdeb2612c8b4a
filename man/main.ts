/** Writes what the manual and the shells are to have: node … VERSION DIRECTORY */
import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { argv } from 'node:process';
import { bashCompletion } from './bash.js';
import { fishCompletion } from './fish.js';
import { virtSandboxHelp } from './help.js';
import { programPage } from './page.js';
import { programs } from './programs.js';
import { sandboxCfgPage } from './sandbox-cfg.js';
import { zshCompletion } from './zsh.js';

const [, , version = '', directory = ''] = argv;

function write(path: string, text: string): void {
  const file = join(directory, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

// As below a prefix, so that installing is copying.
for (const program of programs) {
  const { name } = program;
  write(`share/man/man1/${name}.1`, programPage(program, { version }));
  write(`share/bash-completion/completions/${name}`, bashCompletion(program));
  write(`share/zsh/site-functions/_${name}`, zshCompletion(program));
  write(`share/fish/vendor_completions.d/${name}.fish`, fishCompletion(program));
}
write('share/man/man5/sandbox.cfg.5', sandboxCfgPage({ version }));
write('help/virt-sandbox.txt', await virtSandboxHelp());
