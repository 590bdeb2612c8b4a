/** The commands and options of virt-sandbox-bench, once: for the parser, the help, and the manual page. */
import type { Options } from 'yargs';

/** One command. */
export interface BenchCommand {
  /** As yargs has it: the name, and its arguments. */
  readonly command: string;
  readonly describe: string;
  readonly options: Readonly<Record<string, Options>>;
}

const measuring = {
  runs: { alias: 'n', type: 'number', requiresArg: true, describe: 'how often each variant is measured' },
  'warm-up': { type: 'number', requiresArg: true, default: 1, describe: 'runs before that, which do not count' },
  profile: { type: 'string', requiresArg: true, describe: 'the profile to boot by' },
  options: { type: 'string', requiresArg: true, default: '', describe: 'further options of virt-sandbox, in quotes' },
  deterministic: {
    type: 'boolean',
    default: false,
    describe: "count the guest's instructions in place of time: the same on a busy machine",
  },
} as const satisfies Record<string, Options>;

const output = {
  json: { type: 'boolean', default: false, describe: 'print JSON (docs/bench-json.md)' },
  output: { alias: 'o', type: 'string', requiresArg: true, describe: 'also keep the JSON in this file' },
  history: { type: 'string', requiresArg: true, describe: 'file that results are appended to; “none” for none' },
} as const satisfies Record<string, Options>;

const pictures = {
  svg: { type: 'string', requiresArg: true, describe: 'draw the waterfall into this SVG file' },
  html: { type: 'string', requiresArg: true, describe: 'draw it into this HTML page' },
  trace: { type: 'string', requiresArg: true, describe: 'write it as trace events, for Perfetto' },
} as const satisfies Record<string, Options>;

const measured = { ...measuring, ...output, ...pictures };

/** What counts instructions unless it is told not to. */
const counting = { ...measuring, ...output, deterministic: { ...measuring.deterministic, default: true } } as const;

export const benchCommands = {
  run: {
    command: 'run [-- COMMAND…]',
    describe: 'measure the time of a sandbox, and where it goes',
    options: {
      ...measured,
      floor: { type: 'boolean', default: true, describe: 'also measure a bare QEMU: the floor' },
      timeline: { type: 'boolean', default: true, describe: 'also measure one run in detail' },
    },
  },
  compare: {
    command: 'compare [FILE] [AGAINST]',
    describe: 'compare two results, or --options with --against in turns',
    options: {
      ...measured,
      against: { type: 'string', requiresArg: true, describe: 'options of virt-sandbox to compare with, in quotes' },
      threshold: {
        type: 'string',
        requiresArg: true,
        describe: 'exit with 1 when it is slower by more than that (5%)',
      },
    },
  },
  ablate: {
    command: 'ablate [-- COMMAND…]',
    describe:
      'measure what each kernel argument, initcall, part of the machine, choice of image and set of modules is worth',
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
      to: { type: 'string', requiresArg: true, describe: 'file for it [where virt-sandbox --profile NAME finds it]' },
    },
  },
  peers: {
    command: 'peers [-- COMMAND…]',
    describe: 'measure other programs that do the like, on the same kernel',
    options: {
      runs: measuring.runs,
      'warm-up': measuring['warm-up'],
      profile: measuring.profile,
      options: measuring.options,
      ...output,
    },
  },
  history: { command: 'history', describe: 'show results over time', options: output },
  picture: {
    command: 'picture <FILE> [AGAINST]',
    describe: 'draw the timelines of results that were kept',
    options: pictures,
  },
  document: {
    command: 'document <FILE..>',
    describe: 'write docs/boot-time.md from results that were kept',
    options: {},
  },
} as const satisfies Record<string, BenchCommand>;

export const usage = `Usage: virt-sandbox-bench COMMAND [OPTIONS]

Where every millisecond of a sandbox's start and end goes.`;

export const epilogue = `Results go to stdout, progress to stderr. Ctrl+C ends the measuring and reports what was measured so far; a
second one ends the program.

Exit status: 0; 1 for a regression (compare --threshold), or where something could not be measured; 2 for a
wrong command line; 130 when it was interrupted.`;
