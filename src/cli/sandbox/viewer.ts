/** `--view`: a viewer of this host shows the screen of a sandbox. It ends with the sandbox, and not the other way round. */
import { type ChildProcess, spawn } from 'node:child_process';
import type { Readable } from 'node:stream';
import type { Clipboard } from '../../config/graphics-types.js';
import type { SandboxConfig } from '../../config/types.js';
import type { Sandbox } from '../../sandbox/sandbox.js';
import { messageOf, oneLine } from '../../util/errors.js';
import { findInPath } from '../../util/programs.js';
import { shellWord } from '../../util/shell-word.js';
import { usageError } from '../usage-error.js';

/** Most characters that are kept of what a viewer says. */
const KEPT = 4096;

interface ViewerProgram {
  readonly name: string;
  /** Variables of which it needs one. */
  readonly displays: readonly string[];
  readonly argv: (socket: string, clipboard: Clipboard) => readonly string[];
}

/** The first one that works is taken. Each takes the path of a socket; virt-viewer does not, for VNC. */
const PROGRAMS: readonly ViewerProgram[] = [
  {
    name: 'xtigervncviewer',
    displays: ['DISPLAY'],
    argv: (socket, clipboard) => [
      // It ends when its sandbox does, and asks nobody.
      ...['-AlertOnFatalError=0', '-ReconnectOnError=0'],
      // It leaves the size of the screen alone.
      '-RemoteResize=0',
      // What is copied on this host stays there, unless the sandbox is to have it. What is only selected always stays.
      ...['-SendPrimary=0', `-SendClipboard=${clipboard === 'none' ? 0 : 1}`],
      ...['-SetPrimary=0', `-AcceptClipboard=${clipboard === 'both' ? 1 : 0}`, socket],
    ],
  },
  { name: 'gvncviewer', displays: ['DISPLAY', 'WAYLAND_DISPLAY'], argv: (socket) => [socket] },
];

/**
 * Looks whether there can be a viewer, before anything is started.
 * @param wanted the name of a program, or true for the first that works
 * @throws {SandboxError} `usage`
 */
export function checkView(wanted: string | true, { graphics }: SandboxConfig): void {
  const names = PROGRAMS.map(({ name }) => name);
  if (wanted !== true && !names.includes(wanted))
    throw usageError(`--view cannot be ${JSON.stringify(wanted)}: write ${names.join(' or ')}, or nothing`, PROGRAM);
  if (graphics?.viewers !== 'vnc' && graphics?.viewers !== 'xvnc')
    throw usageError('--view goes with --graphics, --graphics=vnc or --graphics=xvnc', PROGRAM);
}

const PROGRAM = 'virt-sandbox';

/**
 * Starts a viewer. Whatever becomes of it, the sandbox goes on.
 * @param clipboard of the sandbox: the viewer takes part in as much
 * @param warn says a sentence on stderr
 */
export function showIn(
  wanted: string | true,
  sandbox: Sandbox,
  clipboard: Clipboard,
  warn: (sentence: string) => void,
): void {
  const { vncSocket } = sandbox.launched.screen ?? {};
  if (vncSocket === undefined) return;
  const named = PROGRAMS.filter(({ name }) => wanted === true || name === wanted);
  const usable = named.filter(({ name, displays }) => findInPath(name) !== undefined && displays.some(isSet));
  const lack = named.some(({ name }) => findInPath(name) !== undefined)
    ? `no ${named[0]?.displays.join(' and no ')} is set, so no viewer can show the screen`
    : `there is no ${named.map(({ name }) => name).join(' and no ')} to show the screen`;
  new Viewing(sandbox, vncSocket, clipboard, warn).show(usable, lack);
}

class Viewing {
  #viewer: ChildProcess | undefined;
  #isOver = false;
  readonly #socket: string;
  readonly #name: string;
  readonly #clipboard: Clipboard;
  readonly #warn: (sentence: string) => void;

  constructor({ name, ending }: Sandbox, socket: string, clipboard: Clipboard, warn: (sentence: string) => void) {
    this.#name = name;
    this.#socket = socket;
    this.#clipboard = clipboard;
    this.#warn = warn;
    void ending.then(() => {
      this.#isOver = true;
      this.#viewer?.kill();
    });
  }

  /** @param lack why there is none left to try */
  show([program, ...others]: readonly ViewerProgram[], lack: string): void {
    if (this.#isOver) return;
    if (program === undefined) {
      this.#warn(`${lack}; ${this.#remedy()}`);
      return;
    }
    const { name } = program;
    this.#viewer = start(program, program.argv(this.#socket, this.#clipboard), (end, words) => {
      if (this.#isOver) return;
      this.#warn(`${name} has ended (${end})${words === '' ? '' : `; it said last: ${words}`}`);
      this.show(others, 'nothing shows the screen');
    });
  }

  #remedy(): string {
    const name = PROGRAMS[0]?.name ?? '';
    const browser = `virt-sandbox-ctl view ${shellWord(this.#name)}`;
    return `see it in a browser (${browser}), or run ${[name, this.#socket].map(shellWord).join(' ')}`;
  }
}

/**
 * In a session of its own: Ctrl+C at the terminal is for the sandbox. What it says is read, so that it never waits, and
 * stays out of the application's streams.
 * @param failed called once, with its end and what it said last, if it ends otherwise than by its user's wish
 */
function start(
  { name }: ViewerProgram,
  argv: readonly string[],
  failed: (end: string, words: string) => void,
): ChildProcess {
  const words = [name, ...argv];
  // Where this process is killed, its viewer is, too.
  const all = findInPath('setpriv') === undefined ? words : ['setpriv', '--pdeathsig', 'KILL', '--', ...words];
  const [program = '', ...rest] = all;
  const child = spawn(program, rest, { cwd: '/', detached: true, stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (more: string) => {
      said = (said + more).slice(-KEPT);
    });
    stream.on('error', () => {});
    // It is no reason to keep this process.
    (stream as Readable & { unref(): void }).unref();
  }
  child.unref();
  child.once('error', (error) => failed(messageOf(error), ''));
  child.once('close', (status, signal) => {
    if (status !== 0) failed(signal ?? `exit status ${status}`, lastOf(said));
  });
  return child;
}

/** Its last lines as one. The first ones are a greeting. */
function lastOf(said: string): string {
  const lines = said.split('\n').map((line) => oneLine(line.trim()));
  return lines
    .filter((line) => line !== '')
    .slice(-2)
    .join(' ');
}

function isSet(variable: string): boolean {
  return (process.env[variable] ?? '') !== '';
}
