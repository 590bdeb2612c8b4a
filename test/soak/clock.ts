/**
 * Scenario `clock`: the time of day steps while a sandbox starts, runs and ends. The clock of this host stays as it is:
 * the launcher has a library preloaded that changes what it is told, and root inside a machine sets the guest's.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { REPOSITORY } from '../helpers/run.js';
import { DRIVERS, type Driver, type Ground } from './ground.js';
import { judge } from './outcome.js';
import { Choices } from './plan.js';
import { argumentsOf, type Configuration, describeConfiguration, type Started } from './sandbox.js';
import type { Scenario } from './scenario.js';
import { endOf, surveyed } from './survey.js';
import { watched } from './watched.js';

/** In seconds, both ways: a leap, a summer time, a flat battery. */
const STEPS = [1, 60, 3600, 86_400, 315_360_000] as const;

const BOUND_MS = 90_000;

export const clock: Scenario = {
  name: 'clock',
  what: 'a clock that steps, of the launcher and of the guest',
  short: 6,
  full: 80,
  run: async ({ ground, seeds, tally }) => {
    const library = build(ground);
    let steps = 0;
    for (const seed of seeds()) {
      const choices = new Choices(seed);
      const driver = choices.one(DRIVERS);
      if (driver !== 'lxc' && choices.chance(25)) {
        const seconds = stepOf(choices);
        tally.ran(seed, `${driver}, of the guest: ${seconds} s`, await ofGuest(ground, seed, driver, seconds));
        steps += 1;
        continue;
      }
      const configuration: Configuration = {
        driver,
        boot: choices.chance(30) ? 'cold' : 'warm',
        terminal: choices.chance(30),
        share: choices.chance(30),
        network: driver !== 'lxc' && choices.chance(30),
        disk: false,
      };
      const planned = Array.from({ length: choices.between(1, 6) }, () => ({
        after: choices.below(500),
        seconds: stepOf(choices),
      }));
      const findings = await ofLauncher(ground, seed, library, configuration, planned);
      steps += planned.length;
      const text = planned.map(({ after, seconds }) => `${seconds} s after ${after} ms`).join(', ');
      tally.ran(seed, `${describeConfiguration(configuration)}, of the launcher: ${text}`, findings);
    }
    return `${steps} steps`;
  },
};

function stepOf(choices: Choices): number {
  return choices.one(STEPS) * (choices.chance(50) ? 1 : -1);
}

interface Step {
  readonly after: number;
  readonly seconds: number;
}

function ofLauncher(
  ground: Ground,
  seed: number,
  library: string,
  configuration: Configuration,
  steps: readonly Step[],
): Promise<string[]> {
  const file = join(ground.directory, 'clock');
  const set = (seconds: number) => {
    const bytes = Buffer.alloc(8);
    bytes.writeBigInt64LE(BigInt(seconds));
    // The mapping is of this very file.
    writeFileSync(file, bytes, { flag: 'r+' });
  };
  writeFileSync(file, Buffer.alloc(8), { mode: 0o644 });
  const act = async (started: Started) => {
    let at = 0;
    for (const [index, { after, seconds }] of steps.entries()) {
      // The last ones come while the application runs, and while it ends.
      if (index === Math.floor(steps.length / 2) && !(await started.running)) return;
      if (index === steps.length - 1) started.sayEnd();
      await sleep(after);
      at += seconds;
      set(at);
    }
    if (await started.running) started.sayEnd();
  };
  const env = { LD_PRELOAD: library, CLOCK_STEPS: file };
  return watched(ground, seed, configuration, act, (outcome) => judge(outcome, undefined), { env });
}

/** Root inside sets the guest's clock. */
function ofGuest(ground: Ground, seed: number, driver: Driver, seconds: number): Promise<string[]> {
  return surveyed(ground, seed, driver, async (name) => {
    const none = { boot: 'warm', terminal: false, share: false, network: false, disk: false } as const;
    const args = [...argumentsOf(ground, name, { driver, ...none }), '-p'];
    const script = `now=$(date +%s); date -s @$((now + ${seconds})) >/dev/null || exit 1; sleep 0.5; echo set; exit 7`;
    const ended = await endOf([...args, '--', 'sh', '-c', script], ground.optionsOf(driver), BOUND_MS);
    const isRight = ended?.code === 7 && ended.out === 'set\n' && ended.stderr === '';
    const what = ended === undefined ? 'it hangs' : `status ${ended.code ?? ended.signal}: ${ended.out}${ended.stderr}`;
    return { findings: isRight ? [] : [what] };
  });
}

function build(ground: Ground): string {
  const library = join(ground.directory, 'clock-steps.so');
  const source = join(REPOSITORY, 'test/soak/programs/clock-steps.c');
  const words = ['-O1', '-Wall', '-Wextra', '-Werror', '-shared', '-fPIC', '-o', library, source];
  execFileSync('gcc', words, { stdio: ['ignore', 'ignore', 'inherit'] });
  return library;
}
