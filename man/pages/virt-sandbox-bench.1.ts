/** virt-sandbox-bench(1), beside the tables of its commands. */
import { benchCommands } from '../../src/cli/bench-options.js';
import type { Program } from '../program-description.js';

export const virtSandboxBench: Program = {
  name: 'virt-sandbox-bench',
  summary: 'measure where the time of a sandbox goes',
  usage: '*COMMAND* [*OPTIONS*]',
  description: [
    'Measures what a start and an end of virt-sandbox(1) cost, step by step, against a bare QEMU and against other programs; compares measurements, says what each setting is worth, and searches for a profile.',
    'Results go to standard output, progress to standard error. `Ctrl+C` ends the measuring and reports what was measured so far; a second one ends the program.',
  ],
  options: {},
  commands: benchCommands,
  details: {
    runs: { value: 'NUMBER' },
    'warm-up': { value: 'NUMBER' },
    profile: { value: 'PROFILE', complete: { words: ['compatible', 'default', 'fast'] } },
    options: { value: 'OPTIONS' },
    against: { value: 'OPTIONS' },
    threshold: { value: 'PERCENT' },
    only: { value: 'PATTERN' },
    name: { value: 'NAME' },
    to: { value: 'FILE', complete: 'file' },
    output: { value: 'FILE', complete: 'file' },
    history: { value: 'FILE', complete: 'file' },
    svg: { value: 'FILE', complete: 'file' },
    html: { value: 'FILE', complete: 'file' },
    trace: { value: 'FILE', complete: 'file' },
  },
  runs: 'nothing',
  argument: 'file',
  sections: [
    {
      title: 'Exit status',
      body: [
        '0; 1 for a regression (`compare --threshold`), or where something could not be measured; 2 for a wrong command line; 130 when it was interrupted.',
      ],
    },
    { title: 'See also', body: ['virt-sandbox(1), virt-sandbox-bake(1)'] },
  ],
};
