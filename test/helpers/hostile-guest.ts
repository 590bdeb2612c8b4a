/**
 * Sandboxes whose init attacks the launcher (test/hostile/init/), and a judge of what the launcher
 * did. The launcher, libvirt and QEMU are the real ones; only the init in the boot image is another.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../src/util/errors.js';
import { ACCEL } from './acceleration.js';
import { assertNothingLeft, uniqueName } from './leftovers.js';
import { REPOSITORY, type RunResult, runSandbox, startSandbox } from './run.js';
import { bakeSnapshot, privateStore } from './snapshots.js';

const MIB = 1 << 20;
/** What an attack may cost the launcher beyond what an idle one has. */
export const MOST_MEMORY = 64 * MIB;
/** A launcher with less was not looked at. */
const LEAST_MEMORY = 20 * MIB;
/** Most bytes of messages: the console's last lines, cut, and one of the launcher's own. */
const MOST_MESSAGES = 64 << 10;
/** In milliseconds. Most attacks end in two seconds. */
const TIMEOUT = 90_000;

/** How long nobody reads the launcher's output, in milliseconds. */
const SLOW_MS = 2000;

/** What the guest says that the application ended with. */
const CLAIMED = 7;
const FAILED = 125;

/** Every attack, and the exit statuses that are right for it: undefined is any that an application can have. */
export const ATTACKS: ReadonlyMap<string, readonly number[] | undefined> = new Map([
  ['greeting', [FAILED]],
  ['ready', [FAILED]],
  ['garbage', [FAILED]],
  ['lengths', [FAILED]],
  ['tiny', [CLAIMED]],
  ['endless-output', [CLAIMED]],
  ['endless-packet', [FAILED]],
  ['more-than-window', [FAILED]],
  ['other-processes', [FAILED]],
  ['no-number', [FAILED]],
  ['unasked', [FAILED]],
  ['early-results', [FAILED]],
  ['ready-again', [CLAIMED, FAILED]],
  ['asks', [FAILED]],
  ['acknowledges', [FAILED]],
  ['exit-twice', [CLAIMED, FAILED]],
  ['odd-exit', undefined],
  ['after-end', [FAILED]],
  ['unknown', [FAILED]],
  ['escapes', [FAILED]],
  ['console-flood', [CLAIMED, FAILED]],
  ['mutated', [CLAIMED, FAILED]],
]);

/** Attacks before the host has asked for anything: a machine boots for them. */
const EARLY = new Set(['greeting', 'ready']);

/** A copy of the programs with the hostile init, and a store with a snapshot of it. */
export interface HostileGuest {
  readonly program: string;
  readonly env: { readonly XDG_CACHE_HOME: string };
  /** For the profiles of machines that attack early. */
  readonly directory: string;
  /** Of a launcher whose application waits, in bytes. */
  readonly idle: number;
  remove(): void;
}

/** Builds the init, and bakes it. @param uri of the driver */
export async function makeHostileGuest(uri: string): Promise<HostileGuest> {
  const directory = mkdtempSync(join(tmpdir(), 'virt-sandbox-hostile-'));
  const store = privateStore();
  const remove = () => {
    rmSync(directory, { recursive: true, force: true });
    store.remove();
  };
  try {
    const guest = { program: buildPrograms(directory), env: store.env, directory };
    await bakeSnapshot(['-c', uri], guest);
    const { memory: idle } = await launch(guest, uri, 'none', 0);
    assert.ok(idle > LEAST_MEMORY, `an idle launcher has ${idle} bytes`);
    return { ...guest, idle, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

/** A copy of the programs whose init attacks. @returns the path of virt-sandbox */
function buildPrograms(directory: string): string {
  const tree = join(directory, 'tree');
  for (const name of ['bin', 'dist', 'kmods', 'profiles', 'package.json'])
    cpSync(join(REPOSITORY, name), join(tree, name), { recursive: true });
  symlinkSync(join(REPOSITORY, 'node_modules'), join(tree, 'node_modules'));
  const sources = join(directory, 'init');
  cpSync(join(REPOSITORY, 'init'), sources, { recursive: true });
  cpSync(join(REPOSITORY, 'test/hostile/init'), join(sources, 'native/serve'), { recursive: true });
  const out = join(directory, 'out');
  execFileSync('make', ['-s', '-C', join(sources, 'native'), `OUT=${out}`, `${out}/init`], { stdio: 'pipe' });
  copyFileSync(join(out, 'init'), join(tree, 'dist/native/init'));
  return join(tree, 'bin/virt-sandbox');
}

/** One attack. @returns what is wrong with what the launcher did; none: all was right */
export async function attack(guest: HostileGuest, uri: string, name: string, seed: number): Promise<string[]> {
  const { result, memory, left } = await launch(guest, uri, name, seed);
  const right = ATTACKS.get(name);
  const { code, signal, stderr } = result;
  const faults: string[] = [...left];
  if (code === null || !(right?.includes(code) ?? true)) faults.push(`exit ${code} ${signal ?? ''}`);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what it looks for.
  const control = /[\x00-\x08\x0b-\x1f\x7f-\x9f]/.exec(stderr.replaceAll('\r\n', '\n'));
  if (control) faults.push(`a control character in its messages: ${JSON.stringify(stderr.slice(0, 500))}`);
  if (code === FAILED && !/^virt-sandbox: [a-z]+: \S/m.test(stderr)) faults.push('125 without a reason');
  // A failure alone does not prove that anything attacked.
  if (code === FAILED && !proofOf(name).test(stderr)) faults.push('nothing attacked');
  if (stderr.length > MOST_MESSAGES) faults.push(`${stderr.length} characters of messages`);
  const more = memory - guest.idle;
  if (more > MOST_MEMORY) faults.push(`${Math.round(more / MIB)} MiB more than an idle launcher`);
  return faults.length === 0 ? [] : [...faults, `it printed: ${stderr.slice(0, 1000)}`];
}

/** What an attack leaves in the messages. */
function proofOf(name: string): RegExp {
  // A flood drives the line out of those that are shown, and an error of the application has no such lines.
  if (name === 'console-flood') return /^virt-sandbox: /m;
  // An init of another version is refused by that alone.
  if (name === 'ready')
    return /^ {2}guest: .*attack ready$|^virt-sandbox: init: the guest's init has protocol version /m;
  // It may reply that the application cannot be started. Only the guest can, and no lines of it are shown then.
  if (name === 'mutated') return /^ {2}guest: .*attack mutated$|^virt-sandbox: (?:init|application): /m;
  return name === 'escapes' ? /owned/ : new RegExp(`^  guest: .*attack ${name}$`, 'm');
}

interface Launch {
  readonly result: RunResult;
  /** Most of the launcher, in bytes. */
  readonly memory: number;
  readonly left: string[];
}

async function launch(
  { program, env, directory }: Omit<HostileGuest, 'idle' | 'remove'>,
  uri: string,
  attack: string,
  seed: number,
): Promise<Launch> {
  const name = uniqueName();
  const order = `ATTACK=${attack}:${seed}`;
  const boot = EARLY.has(attack) ? ['--boot', 'cold', '--profile', profileWith(order, directory)] : ['--boot', 'warm'];
  // To build an image takes memory too.
  if (EARLY.has(attack)) await runSandbox(['--dry-run', '-c', uri, ...ACCEL, ...boot, '--', 'true'], { program, env });
  const args = ['-v', '-c', uri, ...ACCEL, ...boot, '-n', name, '--', 'sh', '-c', `${order};`];
  const running = startSandbox(args, { program, env, timeout: TIMEOUT });
  // A reader that is slow makes the launcher hold output.
  running.child.stdout?.pause();
  const reading = setTimeout(() => running.child.stdout?.resume(), SLOW_MS);
  let memory = 0;
  let ended = false;
  const watching = (async () => {
    while (!ended) {
      memory = Math.max(memory, peakOf(running.pid));
      await sleep(10);
    }
  })();
  const result = await running.result.finally(() => {
    ended = true;
    clearTimeout(reading);
  });
  await watching;
  return { result, memory, left: await leftBy(name) };
}

/** The kernel hands an argument that it does not know to the init's environment. */
function profileWith(argument: string, directory: string): string {
  const path = join(directory, `${argument.replaceAll(/\W/g, '-')}.json`);
  const why = { why: 'this test', worth: 'nothing', risk: 'none' };
  const kernelArguments = [{ argument, ...why }];
  const profile = { format: 1, name: 'hostile', description: 'An attack', extends: 'default', kernelArguments };
  writeFileSync(path, JSON.stringify(profile));
  return path;
}

async function leftBy(name: string): Promise<string[]> {
  try {
    await assertNothingLeft(name);
    return [];
  } catch (error) {
    return [messageOf(error)];
  }
}

/** The most memory that a process had, in bytes. */
function peakOf(pid: number): number {
  try {
    const [, kib] = /^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8')) ?? [];
    return Number(kib ?? 0) * 1024;
  } catch {
    // It has ended.
    return 0;
  }
}
