/** Runs a program that uses sandboxes as a seed says, prints how it ended, and what was wrong. */
import { startSandbox } from '../helpers/run.js';
import { type Driver, URIS } from './ground.js';
import type { Context } from './scenario.js';
import { surveyed } from './survey.js';

/** In milliseconds: longer than all that it does may take. */
const BOUND_MS = 240_000;

/**
 * The program gets URI, NAME and SEED. It prints `end: HOW` before it ends, and a line `wrong: …` for each fault. What
 * ends `at once` kills itself.
 * @param driverOf chooses the driver of a seed
 * @returns how the runs ended, for the table
 */
export async function runProgram(
  { ground, seeds, tally }: Context,
  program: string,
  driverOf: (seed: number) => Driver,
): Promise<string> {
  const counts = new Map<string, number>();
  for (const seed of seeds()) {
    const driver = driverOf(seed);
    let ended = 'not at all';
    const findings = await surveyed(ground, seed, driver, async (name) => {
      const options = { ...ground.optionsOf(driver), program: process.execPath, timeout: BOUND_MS };
      const running = startSandbox([program, URIS[driver], name, String(seed)], options);
      const result = await running.result.catch(() => undefined);
      if (result === undefined) return { findings: [`it hangs: ${running.stderr().slice(-500)}`] };
      const { code, signal, out, stderr } = result;
      ended = /^end: (.*)$/m.exec(out)?.[1] ?? 'before its end';
      const wrong = out.split('\n').filter((line) => line.startsWith('wrong: '));
      const isKilled = ended === 'at once';
      const isRight = isKilled ? signal === 'SIGKILL' : code === 0;
      const findings = isRight ? wrong : [...wrong, `status ${code ?? signal}: ${stderr.slice(-500)}`];
      // It may have been about to start another one.
      return { findings, mayLeaveDirectory: isKilled };
    });
    counts.set(ended, (counts.get(ended) ?? 0) + 1);
    tally.ran(seed, `${driver}: ended ${ended}`, findings);
  }
  return [...counts].map(([ended, count]) => `${ended} ${count}`).join(', ');
}
