/**
 * Unpacks a state of layers with tar(1). It gets members that were checked, with headers that are written anew. Should it
 * take one for something else, the kernel stands in the way: in a mount of its own it follows no link, a hard link does
 * not leave the mount, and without CAP_MKNOD there are no devices but whiteouts.
 */
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { abortedError } from '../errors.js';
import { isOfState, STATE_ATTRIBUTES } from './attributes.js';
import { notUnpacked, oneMore } from './errors.js';
import { Interruption } from './interruption.js';
import type { Member, Members } from './members.js';
import { type RunningProgram, startProgram } from './program.js';
import type { RoomCheck } from './room-check.js';
import { memberHeader } from './write-member.js';
import { inMount } from './write-state.js';

const END = Buffer.alloc(2 * 512);

const TAR = [
  'tar',
  '--extract',
  '--file=-',
  '--numeric-owner',
  '--keep-old-files',
  '--restrict',
  '--warning=no-timestamp',
];

/** Bytes of memory: until its end tar keeps what it knows of each directory above it, and of each symbolic link. */
const MOST_MEMORY = 2 * 2 ** 30;

/** What tar(1) needs, without CAP_MKNOD: user_namespaces(7) lets every process make whiteouts. */
const CAPABILITIES = ['chown', 'dac_override', 'dac_read_search', 'fowner', 'fsetid', 'setfcap', 'sys_admin'];

export interface UnpackOptions {
  readonly archive: string;
  /** Whose state it is to be. */
  readonly name: string;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: ((bytes: number) => void) | undefined;
  /** Undefined: it may fill the file system. */
  readonly room?: RoomCheck | undefined;
}

/**
 * Unpacks layers. It takes root.
 * @param to a directory that is there, and empty
 * @param check throws for a member that cannot be
 * @throws {SandboxError} `service-archive-not-unpacked`, `service-archive-too-large`, `tool-missing`, `aborted`, what `check`
 *   and the reader throw
 */
export async function unpackLayers(
  members: Members,
  to: string,
  check: (member: Member) => void,
  options: UnpackOptions,
): Promise<void> {
  const include = STATE_ATTRIBUTES.map((attribute) => `--xattrs-include=${attribute}`);
  const tar = [...TAR, '--preserve-permissions', '--same-owner', '--xattrs', ...include, '--acls'];
  const bounded = `--bounding-set=-all,${CAPABILITIES.map((one) => `+${one}`).join(',')}`;
  const bounds = ['prlimit', `--as=${MOST_MEMORY}`, '--core=0', '--', 'setpriv', bounded, '--inh-caps=-all', '--'];
  await unpack(inMount(to, [...bounds, ...tar]), to, options, async (write) => {
    for (let member = await members.next(); member !== undefined; member = await members.next()) {
      check(member);
      await options.room?.take(member);
      await pass(members, member, write, options);
    }
  });
  await flush(to, options);
}

/** @throws {SandboxError} `service-archive-refused`, and what the reader throws */
export async function expectEnd(members: Members, archive: string): Promise<void> {
  const member = await members.next();
  if (member !== undefined) throw oneMore(archive, member);
}

type Write = (piece: Buffer) => Promise<void>;

async function pass(members: Members, member: Member, write: Write, options: UnpackOptions): Promise<void> {
  await write(memberHeader(member, isOfState));
  for (let piece = await members.piece(); piece !== undefined; piece = await members.piece()) {
    const { length } = piece;
    await write(piece);
    options.onProgress?.(members.position);
    await options.room?.taken(length);
  }
}

async function unpack(
  argv: readonly string[],
  to: string,
  { archive, name, signal }: UnpackOptions,
  feed: (write: Write) => Promise<void>,
): Promise<void> {
  const running = await startProgram(argv);
  running.stdout.resume();
  const cancel = () => running.kill();
  signal?.addEventListener('abort', cancel, { once: true });
  let problem: string | undefined;
  try {
    const input = new Input(running);
    await feed((piece) => input.write(piece));
    await input.write(END);
    running.stdin.end();
    problem = await running.ended;
  } catch (error) {
    running.kill();
    const ended = await running.ended;
    if (signal?.aborted) throw abortedError(name);
    if (!(error instanceof InputClosed)) throw error;
    problem = ended ?? 'tar ended before its input';
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
  if (signal?.aborted) throw abortedError(name);
  if (problem !== undefined) throw notUnpacked(archive, to, problem);
}

/** Of a program that has ended, or takes no more. */
class InputClosed extends Error {}

class Input {
  readonly #stdin: Writable;
  readonly #interruption = new Interruption();

  constructor({ stdin, ended }: RunningProgram) {
    this.#stdin = stdin;
    stdin.on('error', () => {});
    void ended.then(() => this.#interruption.interrupt(new InputClosed()));
  }

  /** The piece may be used again afterwards. */
  async write(piece: Buffer): Promise<void> {
    if (!this.#stdin.writable) throw new InputClosed();
    if (this.#stdin.write(Buffer.from(piece))) return;
    // A program that ends has its own reason: EPIPE is none.
    const drained = once(this.#stdin, 'drain').catch(() => Promise.reject(new InputClosed()));
    await this.#interruption.guard(drained);
  }
}

/** What was unpacked is on the disk before a record says that it is there. */
async function flush(to: string, { archive, name, signal }: UnpackOptions): Promise<void> {
  const running = await startProgram(['sync', '--file-system', '--', to]);
  running.stdin.end();
  running.stdout.resume();
  const problem = await endOf(running, name, signal);
  if (problem !== undefined) throw notUnpacked(archive, to, problem);
}

/** A process that waits for a disk does not end when it is killed, and is not waited for. */
async function endOf(running: RunningProgram, name: string, signal?: AbortSignal): Promise<string | undefined> {
  const interruption = new Interruption();
  const cancel = () => {
    running.kill();
    interruption.interrupt(abortedError(name));
  };
  signal?.addEventListener('abort', cancel, { once: true });
  try {
    if (signal?.aborted) cancel();
    return await interruption.guard(running.ended);
  } finally {
    signal?.removeEventListener('abort', cancel);
  }
}
