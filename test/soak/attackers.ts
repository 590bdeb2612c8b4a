/** Scenario `attackers`: the tests of test/hostile/ one after the other, while the processors are busy. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { environment, REPOSITORY } from '../helpers/run.js';
import type { Ground } from './ground.js';
import type { Scenario } from './scenario.js';
import { surveyed } from './survey.js';

/** For one file of tests, in milliseconds. */
const BOUND_MS = 15 * 60_000;

export const attackers: Scenario = {
  name: 'attackers',
  what: 'test/hostile/ under load',
  short: 1,
  full: 45,
  run: async ({ ground, seeds, tally }) => {
    const files = readdirSync(join(REPOSITORY, 'test/hostile')).flatMap(
      (name) => /^(.+)\.test\.ts$/.exec(name)?.[1] ?? [],
    );
    const all = { pass: 0, skip: 0 };
    for (const seed of seeds()) {
      const file = files[seed % files.length] ?? '';
      const findings = await surveyed(ground, seed, 'embed', async () => {
        const { findings, pass, skip } = await underLoad(ground, file);
        all.pass += pass;
        all.skip += skip;
        return { findings };
      });
      tally.ran(seed, `hostile/${file}`, findings);
    }
    return `${all.pass} tests passed, ${all.skip} skipped, beside ${availableParallelism()} busy processes`;
  },
};

async function underLoad(ground: Ground, file: string) {
  const busy = Array.from({ length: availableParallelism() }, () =>
    spawn(process.execPath, ['-e', 'for (;;) {}'], { stdio: 'ignore' }),
  );
  const args = [join(REPOSITORY, 'scripts/test.mjs'), `hostile/${file}.`];
  const tests = spawn(process.execPath, args, {
    cwd: REPOSITORY,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: environment({ ...ground.optionsOf('embed').env, JOBS: '1' }),
  });
  let said = '';
  for (const stream of [tests.stdout, tests.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-200_000);
    });
  }
  const timer = setTimeout(() => tests.kill('SIGTERM'), BOUND_MS);
  const [code] = await once(tests, 'close');
  clearTimeout(timer);
  await Promise.all(busy.map(ended));
  const count = (word: string) => Number(new RegExp(`^\\S+ ${word} (\\d+)$`, 'm').exec(said)?.[1] ?? 0);
  const failed = said.split('\n').filter((line) => /✖|test: /.test(line));
  // Without one that ran there is nothing to be said of it: those of a kernel with KVM, and the like.
  const isRight = code === 0 || /no test ran/.test(said);
  const findings = isRight ? [] : [`status ${code}: ${failed.slice(0, 6).join(' | ')} ${said.slice(-1500)}`];
  return { findings, pass: count('pass'), skip: count('skipped') };
}

async function ended(child: ChildProcess): Promise<void> {
  const end = once(child, 'exit');
  child.kill('SIGKILL');
  await end;
}
