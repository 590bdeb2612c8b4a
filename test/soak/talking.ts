/** Scenario `talking`: a program says many things at once to one sandbox, and leaves it well or in the middle. */
import { join } from 'node:path';
import { REPOSITORY, startSandbox } from '../helpers/run.js';
import { DRIVERS, URIS } from './ground.js';
import { Choices } from './plan.js';
import type { Scenario } from './scenario.js';
import { surveyed } from './survey.js';

const TALKER = join(REPOSITORY, 'build/test/soak/talker.js');

/** In milliseconds: longer than all that it says may take. */
const BOUND_MS = 240_000;

export const talking: Scenario = {
  name: 'talking',
  what: 'a program with a hundred processes in one sandbox, ended well, in the middle, or killed',
  short: 8,
  full: 120,
  run: async ({ ground, seeds, tally }) => {
    const counts = new Map<string, number>();
    for (const seed of seeds()) {
      const driver = new Choices(seed).one(DRIVERS);
      let ended = 'not at all';
      const findings = await surveyed(ground, seed, driver, async (name) => {
        const options = { ...ground.optionsOf(driver), program: process.execPath, timeout: BOUND_MS };
        const running = startSandbox([TALKER, URIS[driver], name, String(seed)], options);
        const result = await running.result.catch(() => undefined);
        if (result === undefined) return { findings: [`it hangs: ${running.stderr().slice(-500)}`] };
        const { code, signal, out, stderr } = result;
        ended = /^end: (.*)$/m.exec(out)?.[1] ?? 'before its end';
        const wrong = out.split('\n').filter((line) => line.startsWith('wrong: '));
        const isRight = ended === 'at once' ? signal === 'SIGKILL' : code === 0;
        return { findings: isRight ? wrong : [...wrong, `status ${code ?? signal}: ${stderr.slice(-500)}`] };
      });
      counts.set(ended, (counts.get(ended) ?? 0) + 1);
      tally.ran(seed, `${driver}: ended ${ended}`, findings);
    }
    return [...counts].map(([ended, count]) => `${ended} ${count}`).join(', ');
  },
};
