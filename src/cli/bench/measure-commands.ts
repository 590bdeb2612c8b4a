/** virt-sandbox-bench run, compare, ablate, tune, peers: the commands that boot sandboxes. */
import type { Result } from '../../bench/result/result.js';
import type { Session } from '../../bench/run/session.js';
import { optionsOfSetting } from '../../bench/run/setting.js';
import type { SandboxVariant } from '../../bench/run/variant.js';
import { splitWords } from '../split-words.js';
import { build } from '../version.js';
import type { ChangesArguments, MeasureArguments } from './arguments.js';
import { checkCount, regressionStatus, thresholdOf } from './checks.js';
import { checkOutputs, finish, wantsPicture } from './output.js';

/** Runs of a variant, of --deterministic and without. A boot that counts instructions is the same every time. */
const RUNS = { counted: 3, timed: 10 };
/** The least that a comparison of times needs. */
const LEAST_TIMED = 5;
/** Peers take long, and differ by far more than the noise. */
const PEER_RUNS = 3;

export async function runCommand(
  args: MeasureArguments & { readonly floor: boolean; readonly timeline: boolean },
): Promise<number> {
  const { measure } = await import('../../bench/experiments/measure.js');
  const result = await withSandbox('virt-sandbox', args, (session, variant) =>
    measure(session, [{ ...variant, label: `virt-sandbox (${variant.profile.name})` }], {
      kind: 'run',
      runs: runsOf(args),
      warmUp: warmUpOf(args),
      withBaseline: args.floor,
      inDetail: args.timeline,
    }),
  );
  return finish(result, args);
}

export async function compareOptions(
  args: MeasureArguments & { readonly against: string; readonly threshold?: string | undefined },
): Promise<number> {
  const { sandboxVariant } = await import('../../bench/run/session.js');
  const { measure } = await import('../../bench/experiments/measure.js');
  const threshold = thresholdOf(args.threshold);
  const against = [...optionsOfSetting(), ...splitWords(args.against)];
  const result = await withSandbox(`A: ${args.options || 'without options'}`, args, async (session, variant) => {
    const other = await sandboxVariant(`B: ${args.against || 'without options'}`, { ...args, options: against });
    return measure(session, [other, variant], {
      kind: 'compare',
      runs: runsOf(args),
      warmUp: warmUpOf(args),
      withBaseline: true,
      inDetail: wantsPicture(args),
    });
  });
  return Math.max(await finish(result, args), regressionStatus(result, threshold));
}

export async function ablateCommand(args: ChangesArguments): Promise<number> {
  const { ablate, ablationText } = await import('../../bench/experiments/ablate.js');
  const result = await withSandbox('as it is', args, (session, base) =>
    ablate(session, base, { ...repetitions(args), only: patternOf(args) }),
  );
  return finish(result, args, ablationText);
}

export async function tuneCommand(
  args: ChangesArguments & { readonly name: string; readonly to?: string | undefined },
): Promise<number> {
  const { tune } = await import('../../bench/experiments/tune.js');
  const { ablationText } = await import('../../bench/experiments/ablate.js');
  const result = await withSandbox('as it is', args, (session, base) =>
    tune(session, base, { ...repetitions(args), name: args.name, path: args.to, only: patternOf(args) }),
  );
  return finish(result, args, ablationText);
}

export async function peersCommand(args: ChangesArguments): Promise<number> {
  const { measurePeers, peersText } = await import('../../bench/experiments/peers.js');
  const result = await withSandbox('virt-sandbox', args, (session, variant) =>
    measurePeers(session, variant, { runs: args.runs ?? PEER_RUNS, warmUp: args.warmUp, only: patternOf(args) }),
  );
  return finish(result, args, peersText);
}

/** Measures in a session of its own, or inside an emulated machine. @param work is given the sandbox of --profile, --options and the command */
async function withSandbox(
  label: string,
  args: MeasureArguments,
  work: (session: Session, variant: SandboxVariant) => Promise<Result>,
): Promise<Result> {
  const { inSession, sandboxVariant } = await import('../../bench/run/session.js');
  const options = [...optionsOfSetting(), ...splitWords(args.options)];
  const session = sessionOptions(args, options);
  if (args.nested !== undefined) {
    const { measureInside } = await import('./nested.js');
    return measureInside(args.nested, args);
  }
  return inSession(session, async (session) => work(session, await sandboxVariant(label, { ...args, options })));
}

/** @throws {Error} for wrong values that would otherwise show only after all is measured */
function sessionOptions(args: MeasureArguments, options: readonly string[]) {
  checkOutputs(args);
  checkCount('--runs', args.runs, 1);
  checkCount('--warm-up', args.warmUp, 0);
  const profile = args.profile === undefined ? [] : ['--profile', args.profile];
  const command = ['virt-sandbox-bench', ...process.argv.slice(2)];
  return { version: build, command, options: [...options, ...profile], deterministic: args.deterministic };
}

function runsOf({ runs, deterministic }: MeasureArguments): number {
  return runs ?? (deterministic ? RUNS.counted : RUNS.timed);
}

/** None where instructions are counted, which are the same from the first run. */
function warmUpOf({ warmUp, deterministic }: MeasureArguments): number {
  return deterministic ? 0 : warmUp;
}

/** For each change of ablate and tune. One run is enough where instructions are counted. */
function repetitions(args: MeasureArguments) {
  return { runs: args.runs ?? (args.deterministic ? 1 : LEAST_TIMED), warmUp: warmUpOf(args) };
}

function patternOf({ only }: ChangesArguments): RegExp | undefined {
  return only === undefined ? undefined : new RegExp(only);
}
