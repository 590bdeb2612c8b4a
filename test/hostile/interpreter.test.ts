/**
 * Promise: no word of a command line and no file of a working directory reaches the Node.js that runs the programs.
 * The attacker owns the working directory, and the words of the sandboxed command name its files. The victim starts a
 * program there. Any attacker code that runs on the host leaves a file behind.
 */

import assert from 'node:assert/strict';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { embedded } from '../helpers/connections.js';
import { PROGRAM, REPOSITORY, runSandbox } from '../helpers/run.js';

/** Outside /tmp, which a sandbox replaces, and readable to QEMU's user. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-hostile-');
chmodSync(ground, 0o755);
after(() => rmSync(ground, { recursive: true, force: true }));
const hits = join(ground, 'hits');
const attack = (how: string) =>
  `try { require('fs').writeFileSync(${JSON.stringify(`${hits}/${how}`)}, '') } catch {}\n`;

/** An attacker's directory, with every file that Node.js or a package might look for. */
function plant(): string {
  mkdirSync(join(ground, 'node_modules'));
  mkdirSync(hits);
  const file = (name: string, text: string) => writeFileSync(join(ground, name), text);
  file('.env', `NODE_OPTIONS=--require=${ground}/required.cjs\nGREETING=hello\n`);
  file('required.cjs', attack('NODE_OPTIONS'));
  file('app.js', 'console.log(process.env.GREETING);\n');
  file('package.json', JSON.stringify({ type: 'commonjs', yargs: { 'camel-case-expansion': true } }));
  file('node.config.json', JSON.stringify({ nodeOptions: { import: [`${ground}/required.cjs`] } }));
  const { dependencies } = JSON.parse(readFileSync(join(REPOSITORY, 'package.json'), 'utf8')) as {
    dependencies: Record<string, string>;
  };
  for (const name of Object.keys(dependencies)) {
    const directory = join(ground, 'node_modules', name);
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'index.js'), attack(name.replace('/', '-')));
  }
  return ground;
}

const FORMS = ['--env-file=.env', '--env-file .env', '--env-file-if-exists=.env', '--env-file-if-exists .env'];

describe('the interpreter of the programs', () => {
  const cwd = plant();

  // With their exit status: the first only plans, the others refuse an unknown command.
  for (const [program, status] of [
    ['', 0],
    ['-bake', 125],
    ['-bench', 2],
  ] as const)
    for (const form of FORMS)
      it(`virt-sandbox${program} node ${form} reads no file of the working directory`, async () => {
        const words = ['node', ...form.split(' '), 'app.js'];
        const args = program === '' ? ['-c', embedded.uri, '--print-xml', ...words] : words;
        const log = join(ground, 'strace');
        const through = ['strace', '-f', '-e', 'trace=file', '-o', log];
        const result = await runSandbox(args, { program: `${PROGRAM}${program}`, through, cwd });
        assert.equal(result.code, status, result.stderr);
        assert.deepEqual(readdirSync(hits), []);
        const calls = readFileSync(log, 'utf8').split('\n');
        assert.ok(
          calls.some((call) => call.includes('dist/virt-sandbox')),
          'strace saw the program',
        );
        const opened = calls.filter((call) => /\bopen(at)?\(/.test(call) && call.includes(ground));
        assert.deepEqual(opened, []);
      });

  it('NODE_OPTIONS of the caller still counts', async () => {
    const { code } = await runSandbox(['--version'], {
      cwd,
      env: { NODE_OPTIONS: `--require=${ground}/required.cjs` },
    });
    assert.equal(code, 0);
    assert.ok(existsSync(join(hits, 'NODE_OPTIONS')), 'the attack leaves its file where it runs');
    rmSync(join(hits, 'NODE_OPTIONS'));
  });

  it('the command gets its words, and runs with them inside', { skip: embedded.skip }, async () => {
    const result = await runSandbox(['-c', embedded.uri, 'node', `--env-file=${ground}/.env`, `${ground}/app.js`], {
      cwd,
    });
    assert.deepEqual([result.code, result.out, result.stderr], [0, 'hello\n', '']);
    assert.deepEqual(readdirSync(hits), []);
  });
});
