/** The commands and options of virt-sandbox-bench: for the parser, the help and the manual page. */
import type { Options } from 'yargs';

/** One command. */
export interface BenchCommand {
  /** In the syntax of yargs: the name, then <required> and [optional] arguments. */
  readonly command: string;
  readonly describe: string;
  readonly options: Readonly<Record<string, Options>>;
}

const measuring = {
  runs: { alias: 'n', type: 'number', requiresArg: true, describe: 'how often to measure each variant' },
  'warm-up': { type: 'number', requiresArg: true, default: 1, describe: 'runs before the measured ones' },
  profile: { type: 'string', requiresArg: true, describe: 'profile to boot with' },
  options: { type: 'string', requiresArg: true, default: '', describe: 'more options of virt-sandbox, in quotes' },
  deterministic: {
    type: 'boolean',
    default: false,
    describe: "count the guest's instructions instead of time; a busy machine gives the same result",
  },
} as const satisfies Record<string, Options>;

const output = {
  json: { type: 'boolean', default: false, describe: 'print JSON (docs/bench-json.md)' },
  output: { alias: 'o', type: 'string', requiresArg: true, describe: 'also write the JSON to this file' },
  history: { type: 'string', requiresArg: true, describe: 'file to append the result to; “none” keeps no history' },
} as const satisfies Record<string, Options>;

const pictures = {
  svg: { type: 'string', requiresArg: true, describe: 'draw the timeline into this SVG file' },
  html: { type: 'string', requiresArg: true, describe: 'draw the timeline into this HTML page' },
  trace: { type: 'string', requiresArg: true, describe: 'write the timeline as trace events, for Perfetto' },
} as const satisfies Record<string, Options>;

const measured = { ...measuring, ...output, ...pictures };

/** Options of commands that count instructions by default. */
const counting = { ...measuring, ...output, deterministic: { ...measuring.deterministic, default: true } } as const;

export const benchCommands = {
  run: {
    command: 'run [-- COMMAND…]',
    describe: 'measure how long a sandbox takes, and where the time goes',
    options: {
      ...measured,
      floor: { type: 'boolean', default: true, describe: 'also measure the floor, a bare QEMU' },
      timeline: { type: 'boolean', default: true, describe: 'also measure one run in detail' },
    },
  },
  compare: {
    command: 'compare [FILE] [AGAINST]',
    describe: 'compare two results, or measure --options and --against in turns',
    options: {
      ...measured,
      against: { type: 'string', requiresArg: true, describe: 'options of virt-sandbox to compare with, in quotes' },
      threshold: {
        type: 'string',
        requiresArg: true,
        describe: 'exit with 1 if the first is slower by more than this share, such as 5%',
      },
    },
  },
  ablate: {
    command: 'ablate [-- COMMAND…]',
    describe: 'measure the effect of each kernel argument, initcall, machine part, image choice and module set',
    options: {
      ...counting,
      only: { type: 'string', requiresArg: true, describe: 'only changes that match this regular expression' },
    },
  },
  tune: {
    command: 'tune',
    describe: 'search for a profile',
    options: {
      ...counting,
      only: { type: 'string', requiresArg: true, describe: 'only candidates that match this regular expression' },
      name: { type: 'string', requiresArg: true, default: 'tuned', describe: 'name of the profile that is written' },
      to: {
        type: 'string',
        requiresArg: true,
        describe: 'file for the profile [where virt-sandbox --profile NAME finds it]',
      },
    },
  },
  peers: {
    command: 'peers [-- COMMAND…]',
    describe: 'measure similar programs on the same kernel',
    options: {
      runs: measuring.runs,
      'warm-up': measuring['warm-up'],
      profile: measuring.profile,
      options: measuring.options,
      ...output,
      only: { type: 'string', requiresArg: true, describe: 'only programs that match this regular expression' },
    },
  },
  nested: {
    command: 'nested [-- COMMAND…]',
    describe: 'run one of these commands with KVM inside an emulated machine, where the host has no KVM',
    options: {
      memory: {
        type: 'string',
        requiresArg: true,
        default: '3G',
        describe: 'memory of the machine: MiB, or a number with K, M or G',
      },
      vcpus: {
        type: 'number',
        requiresArg: true,
        describe: 'processors of the machine [2, or 1 if the host has one]',
      },
    },
  },
  history: { command: 'history', describe: 'show results over time', options: output },
  picture: {
    command: 'picture <FILE> [AGAINST]',
    describe: 'draw the timelines of saved results',
    options: pictures,
  },
  document: {
    command: 'document <FILE..>',
    describe: 'print docs/boot-time.md, made from saved results',
    options: {},
  },
} as const satisfies Record<string, BenchCommand>;

export const usage = `Usage: virt-sandbox-bench COMMAND [OPTIONS]

Measures where the time of a sandbox's start and end goes.`;

export const epilogue = `Results go to stdout, progress to stderr. Ctrl+C stops measuring and reports what was measured so far; a second
Ctrl+C ends the program.

Exit status: 0; 1 for a regression (compare --threshold) or a measurement that failed; 2 for a wrong command line;
130 when it was interrupted.`;
