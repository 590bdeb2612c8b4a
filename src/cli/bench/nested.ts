/** virt-sandbox-bench nested: has another command measure inside an emulated machine that is a KVM host. */
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { dirname, join } from 'node:path';
import { writtenInside } from '../../bench/nested/exchange.js';
import type { Result } from '../../bench/result/result.js';
import { splitWords } from '../split-words.js';
import { build } from '../version.js';
import type { Nested } from './arguments.js';
import { type InnerArguments, innerWords, refuseInside, snapshotsFor, withOwnNames } from './nested-words.js';

/** There is no result. Its reason is on stderr already. */
export class NothingMeasured extends Error {
  /** The exit status for it. */
  readonly status: number;

  constructor(status: number) {
    super(`the emulated machine ended with status ${status}, and nothing was measured`);
    this.name = 'NothingMeasured';
    this.status = status === 0 ? 1 : status;
  }
}

/**
 * Measures inside. Only the result comes out, and the profile of `tune`: what is printed and written to files is made of
 * it out here.
 * @throws {NothingMeasured} and {Error} for what cannot be measured in there
 */
export async function measureInside(nested: Nested, args: InnerArguments): Promise<Result> {
  refuseInside(args);
  const { checkMemory, EXCHANGE, machineArgv, runMachine } = await import('../../bench/nested/machine.js');
  const { interruptible, say } = await import('../../bench/run/progress.js');
  const { removeAbandoned } = await import('../../bench/run/scratch.js');
  const { parseResult } = await import('../../bench/result/result.js');
  checkMemory(nested.memory);
  const load = loadavg()[0] ?? 0;
  removeAbandoned();
  const exchange = mkdtempSync(`/var/tmp/virt-sandbox-nested-${process.pid}-`);
  const { signal, release } = interruptible(say);
  const remove = () => rmSync(exchange, { recursive: true, force: true });
  process.once('exit', remove);
  try {
    const { carried, names } = await carryProfiles(args, exchange, EXCHANGE);
    const words = [
      ...innerWords(nested.name, carried),
      ...[`--output=${EXCHANGE}/result.json`, '--history=none'],
      ...(nested.name === 'tune' ? [`--to=${EXCHANGE}/tuned.json`] : []),
      ...['--', ...args.command],
    ];
    const { packageDirectory } = await import('../../util/programs.js');
    const programs = join(packageDirectory(), 'bin');
    say(`nested: starting a machine with ${nested.memory} of memory`);
    const command = [join(programs, 'virt-sandbox-bench'), ...words];
    const inside = { programs, command, snapshots: snapshotsFor(nested.name, carried) };
    const status = await runMachine(machineArgv(nested, exchange, inside), signal);
    const text = writtenInside(exchange, 'result.json');
    if (text === undefined) throw new NothingMeasured(status);
    if (nested.name === 'tune') await keepProfile(writtenInside(exchange, 'tuned.json'), args);
    const result = parseResult('result.json, which the emulated machine wrote,', () => withOwnNames(text, names));
    const asked = ['virt-sandbox-bench', ...process.argv.slice(2)];
    return { ...result, version: build, command: asked, host: { ...result.host, load } };
  } finally {
    release();
    process.off('exit', remove);
    remove();
  }
}

/** Hands in profiles of the user's own, which may be where the machine does not see them. */
async function carryProfiles(args: InnerArguments, exchange: string, inside: string) {
  const { loadProfile, shippedProfiles } = await import('../../profile/load.js');
  const { takeProfile } = await import('../../bench/run/session.js');
  const { shellWord } = await import('../../util/shell-word.js');
  const names = new Map<string, string>();
  const handIn = async (name: string): Promise<string> => {
    if (!name.includes('/') && existsSync(join(shippedProfiles(), `${name}.json`))) return name;
    const file = `profile-${names.size + 1}.json`;
    writeFileSync(join(exchange, file), JSON.stringify(await loadProfile(name)));
    names.set(`${inside}/${file}`, name);
    return `${inside}/${file}`;
  };
  const inWords = async (line: string): Promise<string> => {
    const words = splitWords(line);
    const { name, others } = takeProfile(words) ?? {};
    return name === undefined ? line : [...(others ?? []), '--profile', await handIn(name)].map(shellWord).join(' ');
  };
  const { profile = process.env['VIRT_SANDBOX_PROFILE'], options, against } = args;
  const carried: InnerArguments = {
    ...args,
    options: await inWords(options),
    ...(against === undefined ? {} : { against: await inWords(against) }),
    ...(profile ? { profile: await handIn(profile) } : {}),
  };
  return { carried, names };
}

/** Puts the profile that `tune` wrote, if it did, where it was asked for. */
async function keepProfile(text: string | undefined, { to, name = '' }: InnerArguments): Promise<void> {
  if (text === undefined) return;
  const { ownProfiles } = await import('../../profile/load.js');
  const { makeDirectories } = await import('../../util/directories.js');
  const { say } = await import('../../bench/run/progress.js');
  const path = to ?? join(ownProfiles(), `${name}.json`);
  makeDirectories(dirname(path));
  writeFileSync(path, text);
  say(`nested: the profile is ${path}`);
}
