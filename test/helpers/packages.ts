/** Something to install: a Debian package, and a program with a Makefile. */
import { execFileSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Makes `sayer.deb`, whose program prints `set up`, and the directory `source`, whose program prints `made`.
 * @param names of the programs
 */
export function makePackages(ground: string, { sayer, tool }: { readonly sayer: string; readonly tool: string }): void {
  const build = join(ground, 'package');
  for (const name of ['DEBIAN', 'usr/bin']) mkdirSync(join(build, name), { recursive: true });
  const control = [`Package: ${sayer}`, 'Version: 1', 'Architecture: all', 'Maintainer: x <x@example.org>'];
  writeFileSync(join(build, 'DEBIAN/control'), `${[...control, 'Description: says'].join('\n')}\n`);
  writeFileSync(join(build, 'DEBIAN/postinst'), `#!/bin/sh\necho set up > /etc/${sayer}\n`, { mode: 0o755 });
  writeFileSync(join(build, 'usr/bin', sayer), `#!/bin/sh\ncat /etc/${sayer}\n`, { mode: 0o755 });
  execFileSync('dpkg-deb', ['--root-owner-group', '-b', build, join(ground, 'sayer.deb')], { stdio: 'ignore' });
  const source = join(ground, 'source');
  mkdirSync(source);
  writeFileSync(join(source, tool), '#!/bin/sh\necho made\n', { mode: 0o755 });
  const rules = [
    'install:',
    `\tinstall -D ${tool} $(PREFIX)/bin/${tool}`,
    `\tinstall -D -m 644 ${tool} $(PREFIX)/share/${tool}/tool`,
  ];
  writeFileSync(join(source, 'Makefile'), `PREFIX = /usr/local\n${rules.join('\n')}\n`);
}
