/** virt-sandbox-bench(1). The tables of its commands are in src/cli. */
import { benchCommands } from '../../src/cli/bench/options.js';
import type { Program } from '../program-description.js';

export const virtSandboxBench: Program = {
  name: 'virt-sandbox-bench',
  summary: 'measure where the time of a sandbox goes',
  usage: '*COMMAND* [*OPTIONS*]',
  description: [
    'Measures how long a sandbox of virt-sandbox(1) takes to start and end, step by step, and compares it with a bare QEMU and with other programs. It also compares results, measures the effect of each setting, and searches for a profile.',
    'Results go to standard output, progress to standard error. `Ctrl+C` stops measuring and reports what was measured so far. A second `Ctrl+C` ends the program.',
    '`--runs` has these defaults. `run` and `compare` measure each variant 10 times, with `--deterministic` 3 times. `ablate` and `tune` count instructions and measure once; with `--no-deterministic` they measure 5 times. `peers` measures 3 times. Under `nested`, `ablate` and `tune` measure time.',
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
    memory: { value: 'SIZE' },
    vcpus: { value: 'NUMBER' },
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
        {
          terms: [
            ['`0`', 'Success.'],
            ['`1`', 'A regression (`compare --threshold`), or a measurement that failed.'],
            ['`2`', 'A wrong command line.'],
            ['`130`', 'An interrupt.'],
          ],
        },
      ],
    },
    {
      title: 'Environment',
      body: [
        {
          terms: [
            ['VIRT_SANDBOX_PROFILE', 'The default for `--profile`.'],
            [
              'VIRT_SANDBOX_BENCH_LXC',
              'Words to put before a command that uses `lxc:///`, such as `nsenter --mount --target` *PID*.',
            ],
            [
              'XDG_CONFIG_HOME, XDG_DATA_HOME',
              'The directories of profiles and of the history, instead of `~/.config` and `~/.local/share`.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Files',
      body: [
        {
          terms: [
            ['`~/.local/share/libvirt-sandbox/bench.jsonl`', 'The history: every result, one a line.'],
            ['`~/.config/libvirt-sandbox/profiles/`*NAME*`.json`', 'The profiles that `tune` writes.'],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'The time of a sandbox, with a picture of the timeline:',
        { block: 'virt-sandbox-bench run -n 20 --html run.html -- /bin/date' },
        'Two profiles in turns, with exit status 1 if the first is slower by more than 5 %:',
        {
          block: 'virt-sandbox-bench compare --options "--profile fast" --against "--profile default" --threshold 5%',
        },
        'A profile of your own:',
        { block: 'virt-sandbox-bench tune --name mine\nvirt-sandbox --profile mine -- /bin/date' },
        'Warm starts under KVM, on a host without KVM:',
        { block: 'virt-sandbox-bench nested -- run -n 5 --options "--boot warm"' },
      ],
    },
    { title: 'See also', body: ['virt-sandbox(1), virt-sandbox-bake(1)'] },
  ],
};
