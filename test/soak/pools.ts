/** Scenario `pool`: a program takes sandboxes of a pool, kills some that wait, and ends in any way. */
import { join } from 'node:path';
import { REPOSITORY } from '../helpers/run.js';
import { DRIVERS } from './ground.js';
import { Choices } from './plan.js';
import { runProgram } from './program.js';
import type { Scenario } from './scenario.js';

/** Containers cannot wait. */
const MACHINES = DRIVERS.filter((driver) => driver !== 'lxc');

export const pools: Scenario = {
  name: 'pool',
  what: 'a program takes 18 sandboxes of a pool, three at once; some that wait are killed, some takes aborted',
  short: 4,
  full: 60,
  run: (context) =>
    runProgram(context, join(REPOSITORY, 'build/test/soak/pooler.js'), (seed) => new Choices(seed).one(MACHINES)),
};
