/** A terminal that a launcher has made raw: it is as it was, whenever the launcher is killed. */
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { hostProgram } from '../../../../src/util/programs.js';
import { openPair } from '../../../helpers/pty.js';
import { scratchDirectory } from '../../../helpers/scratch.js';

/** In milliseconds: far longer than a supervisor may take. */
const SOON_MS = 20_000;

/**
 * The launcher: its supervisor has the terminal, and a command that ends when it may, or is killed after 5 s. It goes on
 * when the command is ready: the supervisor says that it has started before its shell has set the trap, and would end it
 * at once.
 */
const LAUNCHER = `
const { spawn, spawnSync } = require('node:child_process');
const { existsSync } = require('node:fs');
const { setTimeout: sleep } = require('node:timers/promises');
const [program, directory, says, ready, mayEnd] = process.argv.slice(1);
const wait = 'while [ ! -e ' + mayEnd + ' ]; do sleep 0.05; done';
const command = ['sh', '-c', 'trap "' + wait + '; exit" TERM; : >' + ready + '; while :; do sleep 0.05; done'];
const supervisor = spawn(program, [directory, ...command], { stdio: ['pipe', 'pipe', 'inherit', 0], detached: true });
supervisor.stdout.once('data', async () => {
  while (!existsSync(ready)) await sleep(20);
  spawnSync('stty', ['raw', '-echo'], { stdio: [0, 'ignore', 'inherit'] });
  if (says !== '') supervisor.stdin.end(says);
  process.stdout.write('ending');
});
setInterval(() => {}, 1000);
`;

for (const [says, what] of [
  ['', 'before it said a word'],
  ['keep\n', 'after it said that the terminal may stay as it is, and before all has ended'],
] as const) {
  it(`a launcher is killed ${what}`, async (t) => {
    const { master, slave, path } = openPair({ rows: 24, columns: 80 });
    t.after(() => {
      for (const fd of [master, slave]) closeSync(fd);
    });
    const settings = () => execFileSync('stty', ['-g', '-F', path], { encoding: 'utf8' });
    const before = settings();
    const scratch = scratchDirectory(t);
    const [directory, ready, mayEnd] = [join(scratch, 'state'), join(scratch, 'ready'), join(scratch, 'may-end')];
    mkdirSync(directory);
    writeFileSync(join(directory, 'owner'), '4194304 1\n');
    const words = [hostProgram('supervisor'), directory, says, ready, mayEnd];
    const launcher = spawn(process.execPath, ['-e', LAUNCHER, ...words], { stdio: [slave, 'pipe', 'inherit'] });
    t.after(() => launcher.kill('SIGKILL'));
    await once(launcher.stdout ?? assert.fail(), 'data');
    assert.notEqual(settings(), before);
    launcher.kill('SIGKILL');
    await once(launcher, 'exit');
    writeFileSync(mayEnd, '');
    for (const deadline = Date.now() + SOON_MS; settings() !== before; await sleep(20))
      assert.ok(Date.now() < deadline, 'the terminal stays raw');
    while (existsSync(directory)) await sleep(20);
  });
}
