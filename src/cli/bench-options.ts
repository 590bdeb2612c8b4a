/** The options of virt-sandbox-bench's commands, once. */
import type { Options } from 'yargs';

export const measuring = {
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

export const output = {
  json: { type: 'boolean', default: false, describe: 'print JSON (docs/bench-json.md)' },
  output: { alias: 'o', type: 'string', requiresArg: true, describe: 'also keep the JSON in this file' },
  history: { type: 'string', requiresArg: true, describe: 'file that results are appended to; “none” for none' },
} as const satisfies Record<string, Options>;

export const pictures = {
  svg: { type: 'string', requiresArg: true, describe: 'draw the waterfall into this SVG file' },
  html: { type: 'string', requiresArg: true, describe: 'draw it into this HTML page' },
  trace: { type: 'string', requiresArg: true, describe: 'write it as trace events, for Perfetto' },
} as const satisfies Record<string, Options>;

export const usage = `Usage: virt-sandbox-bench COMMAND [OPTIONS]

Where every millisecond of a sandbox's start and end goes.`;

export const epilogue = `Results go to stdout, progress to stderr. Ctrl+C ends the measuring and reports what was measured so far; a
second one ends the program.

Exit status: 0; 1 for a regression (compare --threshold), or where something could not be measured; 2 for a
wrong command line; 130 when it was interrupted.`;
