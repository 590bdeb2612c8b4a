/** One measured run of a variant. */
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { type ExitReadings, type Exits, withExits } from '../timeline/exits.js';
import { Trace } from '../timeline/marks-file.js';
import { logArguments, parseQemuLog, traceArguments } from '../timeline/qemu-log.js';
import { length, type Where } from '../timeline/span.js';
import { type Timeline, timelineOf } from '../timeline/timeline.js';
import { bareBoot } from './bare-boot.js';
import { bareRestore } from './bare-restore.js';
import { asksForContainer, imageFacts, sandboxArgv } from './commands.js';
import { ExitReader } from './exit-reader.js';
import type { HostFacts } from './host.js';
import { runSilently } from './process.js';
import { makeWritable } from './scratch.js';
import {
  countingInstructions,
  instructions,
  loggingInitcalls,
  optionOf,
  profileOptions,
  refuseCounting,
  type SandboxVariant,
  type Variant,
  withQemu,
} from './variant.js';

/** Seconds of the host, or instructions of the guest until its init is ready. */
export type Unit = 's' | 'instructions';

export interface Sample {
  readonly value: number;
  /** Parts of the value, by name. */
  readonly parts: Readonly<Record<string, number>>;
  /** Who spent the time of each part. */
  readonly where?: Readonly<Record<string, Where>> | undefined;
  readonly timeline: Timeline | undefined;
  /** The kernel's log, if the guest was asked for it. */
  readonly log?: string | undefined;
  /** Exits to KVM of the whole run, by the names of its counters; absent under emulation. */
  readonly exits?: Exits;
  /** Why exits were not counted under KVM. */
  readonly noExits?: string;
}

export interface SampleOptions {
  readonly program: string;
  /** Directory that QEMU's user can enter. */
  readonly scratch: string;
  readonly unit: Unit;
  /** What the session runs with; options of a variant may say otherwise. */
  readonly host: Pick<HostFacts, 'acceleration'>;
  /** Also ask the guest for its clock and log. That takes time of its own. */
  readonly inDetail: boolean;
  readonly signal: AbortSignal;
}

/** @throws {Error} when the run fails */
export async function takeSample(variant: Variant, options: SampleOptions): Promise<Sample> {
  if (variant.kind === 'program') {
    const { started, ended } = await runSilently(variant, options.signal);
    return { value: (ended - started) / 1e9, parts: {}, timeline: undefined };
  }
  if (variant.kind === 'boot') {
    const value = await bareBoot(variant.argv, options.scratch, { signal: options.signal });
    return { value, parts: {}, timeline: undefined };
  }
  if (variant.kind === 'restore') {
    const value = await bareRestore(variant.argv, variant.snapshot, options.signal);
    return { value, parts: {}, timeline: undefined };
  }
  return sampleSandbox(variant, options);
}

async function sampleSandbox(variant: SandboxVariant, options: SampleOptions): Promise<Sample> {
  const { scratch, unit, inDetail } = options;
  const traceFile = join(scratch, 'trace');
  const qemuFile = join(scratch, 'qemu.log');
  rmSync(traceFile, { force: true });
  makeWritable(qemuFile);
  const counts = unit === 'instructions';
  if (counts) refuseCounting(variant.options);
  let profile = counts ? countingInstructions(variant.profile) : variant.profile;
  // A snapshot keeps its kernel's arguments, and its kernel has already logged its boot.
  const boots = inDetail && isBooted(variant, options);
  const underKvm = !counts && isUnderKvm(variant, options);
  if (inDetail) profile = withQemu(boots ? loggingInitcalls(profile) : profile, traceArguments(qemuFile));
  // Tells this QEMU from others.
  else if (underKvm) profile = withQemu(profile, logArguments(qemuFile));
  const argv = sandboxArgv(options.program, [
    ...(counts ? ['--accel', 'tcg'] : []),
    ...variant.options,
    ...profileOptions(profile, scratch),
    '--',
    ...variant.command,
  ]);
  const looks = !counts && hasScreen(variant);
  const traced = `${looks ? 'picture:' : ''}${boots ? 'guest:' : ''}${traceFile}`;
  // It is ended then, and the status is what the program made of that.
  const isDone = () => looks && existsSync(traceFile) && Trace.read(traceFile).first('picture.first') !== undefined;
  const reader = underKvm ? new ExitReader({ token: qemuFile, often: inDetail }) : undefined;
  let exits: ExitReadings | undefined;
  const command = { label: variant.label, argv, environment: { VIRT_SANDBOX_TRACE: traced }, isDone };
  const run = await runSilently(command, options.signal).finally(() => {
    exits = reader?.stop();
  });
  const trace = Trace.read(traceFile);
  const logged = inDetail ? readFileSync(qemuFile, 'utf8') : '';
  const qemu = logged === '' ? undefined : parseQemuLog(logged);
  const plain = timelineOf({ trace, ...run, qemu, countsInstructions: counts });
  const readings = exits !== undefined && 'readings' in exits ? exits.readings : [];
  const timeline = inDetail ? withExits(plain, readings, run.started) : plain;
  checkModules(trace);
  const text = trace.first('inspect.log')?.detail['text'];
  const log = typeof text === 'string' ? { log: text } : {};
  return { ...(counts ? countedParts(trace) : timedParts(timeline)), timeline, ...log, ...exitsOf(exits) };
}

/** What a config file asks for is not looked at. */
function hasScreen({ options }: SandboxVariant): boolean {
  return options.some((word) => word === '--graphics' || word.startsWith('--graphics='));
}

function isUnderKvm({ options }: SandboxVariant, { host }: SampleOptions): boolean {
  if (asksForContainer(options)) return false;
  const wanted = optionOf(options, 'accel') ?? 'auto';
  return (wanted === 'auto' ? host.acceleration : wanted) === 'kvm';
}

function exitsOf(exits: ExitReadings | undefined): Pick<Sample, 'exits' | 'noExits'> {
  if (exits === undefined) return {};
  if ('missing' in exits) return { noExits: exits.missing };
  return { exits: exits.readings.at(-1)?.exits ?? {} };
}

/** False for a container, which has the host's clock and kernel, and for a warm start. */
function isBooted({ options, profile }: SandboxVariant, { program, scratch }: SampleOptions): boolean {
  if (asksForContainer(options)) return false;
  return imageFacts(program, [...options, ...profileOptions(profile, scratch)]).boot !== 'warm';
}

/** A guest without its modules may still start an application that needs none, but it is not the guest to measure. */
function checkModules(trace: Trace): void {
  const failed = trace.init?.modules.filter(({ errno }) => errno !== 0 && errno !== constants.errno.EEXIST) ?? [];
  if (failed.length === 0) return;
  throw new Error(`modules do not load: ${failed.map(({ name, errno }) => `${name} (errno ${errno})`).join(', ')}`);
}

/** The value ends with the first picture, if there is one, and leaves out time that only measuring costs. */
function timedParts(timeline: Timeline): Pick<Sample, 'value' | 'parts' | 'where'> {
  const { picture = timeline.wall } = timeline;
  const stages = timeline.stages.filter(({ where, start }) => where !== 'measuring' && start < picture);
  const parts: Record<string, number> = {};
  for (const stage of stages) parts[stage.name] = (parts[stage.name] ?? 0) + length(stage) / 1e6;
  const where = Object.fromEntries(stages.map((stage) => [stage.name, stage.where]));
  return { value: (picture - timeline.measuring) / 1e6, parts, where };
}

/**
 * Counts only until the init is ready. After that the guest waits for the host, and the instruction clock of a waiting
 * guest jumps to its next timer.
 */
function countedParts(trace: Trace): Pick<Sample, 'value' | 'parts'> {
  const { init } = trace;
  if (!init) throw new Error('the guest did not say when its init was ready');
  const loading = init.modules.reduce((sum, { microseconds }) => sum + microseconds, 0);
  const parts = {
    kernel: instructions(init.started),
    ...Object.fromEntries(init.modules.map(({ name, microseconds }) => [`module ${name}`, instructions(microseconds)])),
    'the rest of the init': instructions(init.ready - init.started - loading),
  };
  return { value: instructions(init.ready), parts };
}
