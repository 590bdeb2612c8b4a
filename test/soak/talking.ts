/** Scenario `talking`: a program says many things at once to one sandbox, and leaves it well or in the middle. */
import { join } from 'node:path';
import { REPOSITORY } from '../helpers/run.js';
import { DRIVERS } from './ground.js';
import { Choices } from './plan.js';
import { runProgram } from './program.js';
import type { Scenario } from './scenario.js';

const TALKER = join(REPOSITORY, 'build/test/soak/talker.js');

export const talking: Scenario = {
  name: 'talking',
  what: 'a program with a hundred processes in one sandbox, ended well, in the middle, or killed',
  short: 8,
  full: 120,
  run: (context) => runProgram(context, TALKER, (seed) => new Choices(seed).one(DRIVERS)),
};
