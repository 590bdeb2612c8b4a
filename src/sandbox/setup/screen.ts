/** Starts what shows programs on the screen. It runs beside the application, as its user. */
import type { GuestConfig, GuestScreen } from '../../../init/common/config.js';
import { StepError } from '../../../init/common/drive.js';
import { CLIPBOARD_TOOL } from '../../../init/common/screen/compositors.js';
import {
  displaySocket,
  displayVariables,
  type MissingCompositor,
  prepareScreen,
  xwaylandSocket,
} from '../../../init/common/screen/prepare.js';
import type { Channel } from '../../protocol/channel.js';
import { OperationError } from '../../protocol/operations.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { forCaller, option } from '../../util/option-names.js';
import { type SandboxProcess, startProcess } from '../process/process.js';
import type { ProcessExit } from '../process/types.js';
import type { Console } from '../start/console.js';
import type { LaunchOptions } from '../types.js';
import { SCREEN_STEP } from './breakpoint.js';
import { stepError } from './step-errors.js';

/** Most characters that are kept of what a compositor says, which a user inside may have written. */
const KEPT = 4096;

/**
 * @returns the config with the variables by which programs find the screen
 * @throws {SandboxError} `compositor-missing`, `clipboard-tool-missing`, `compositor-failed`, `init-step-failed`, `process-lost`
 */
export async function setUpScreen(
  channel: Channel,
  guest: GuestConfig,
  screen: GuestScreen,
  console: Console,
  { onWarning, onChoice }: LaunchOptions,
): Promise<GuestConfig> {
  const ready = await prepareScreen(channel, guest, screen).catch((error: unknown) => {
    throw error instanceof OperationError ? stepError(new StepError(SCREEN_STEP, error), console, guest) : error;
  });
  if ('missing' in ready) throw missingError(ready, screen);
  const { compositor, environment, edid, clipboardTool } = ready;
  const wantsClipboard = screen.clipboard !== undefined;
  if (wantsClipboard && clipboardTool === undefined) throw clipboardError(CLIPBOARD_TOOL.name, CLIPBOARD_TOOL.name);
  if (compositor === undefined) return withVariables(guest, environment);
  const { name, argv } = compositor;
  const process = await startProcess(channel, { ...guest, trace: undefined }, argv, {
    env: compositor.environment,
    cwd: '/',
  });
  const words = new LastWords(process);
  const line = await firstLine(process);
  if (line === undefined) throw failedError(name, await endOf(process), words.text);
  const variables = displayVariables(name, line);
  if (wantsClipboard && variables['DISPLAY'] === undefined) throw clipboardError('Xwayland', 'xwayland');
  const told = name === 'xvnc' ? 'xvnc, a program of the sandbox, to which its viewers talk' : name;
  onChoice?.(`screen: shown by ${told}`);
  let isOver = false;
  const over = () => {
    isOver = true;
  };
  channel.application.exited.then(over, over);
  void endOf(process).then((end) => {
    // Where the application has ended, all is being ended.
    if (!isOver && end !== undefined)
      onWarning?.(`${name} has ended (${end}), so the screen shows nothing any more${saying(words.text)}`);
  });
  const display =
    name === 'xvnc' || edid === undefined
      ? undefined
      : { compositor: name, socket: displaySocket(name, variables), xwayland: xwaylandSocket(name, variables), edid };
  const shown = { ...guest, screen: { ...screen, pid: process.pid, display, clipboard: clipboardTool } };
  return withVariables(shown, { ...environment, ...variables });
}

/** Those of the config count more. */
function withVariables(guest: GuestConfig, variables: Readonly<Record<string, string>>): GuestConfig {
  const own = Object.entries(variables).map(([key, value]) => ({ key, value }));
  return { ...guest, environment: [...own, ...guest.environment] };
}

/** What it said last. It is read to its end, so that it never waits for a reader. */
class LastWords {
  text = '';

  constructor({ stderr }: SandboxProcess) {
    stderr.setEncoding('utf8').on('data', (more: string) => {
      this.text = (this.text + more).slice(-KEPT);
    });
    stderr.on('error', () => {});
  }
}

/** The first line of its output, by which it says that it is ready; undefined: it ended before. The rest is dropped. */
function firstLine({ stdout, exited }: SandboxProcess): Promise<string | undefined> {
  return new Promise((resolve) => {
    let text = '';
    stdout.setEncoding('utf8').on('data', (more: string) => {
      if (text.includes('\n')) return;
      text = (text + more).slice(0, KEPT);
      const [line, rest] = text.split('\n');
      if (rest !== undefined || text.length === KEPT) resolve(line);
    });
    stdout.on('error', () => {});
    const end = () => resolve(undefined);
    exited.then(end, end);
  });
}

/** How it ended, for people; undefined: with the sandbox. */
function endOf({ exited }: SandboxProcess): Promise<string | undefined> {
  return exited.then(
    ({ signal, exitCode }: ProcessExit) => (signal === undefined ? `exit status ${exitCode}` : String(signal)),
    () => undefined,
  );
}

function saying(text: string): string {
  const last = text.trimEnd().split('\n').slice(-1)[0] ?? '';
  return last === '' ? '' : `; it said last: ${oneLine(last)}`;
}

function compositorOption(name: string): string {
  return forCaller({
    commandLine: `--graphics=vnc,compositor=${name}`,
    program: `graphics: { compositor: '${name}' }`,
  });
}

function missingError({ missing, packages }: MissingCompositor, { compositor }: GuestScreen): SandboxError {
  const debian = packages.map((names) => `apt-get install ${names}`).join(', or ');
  const install = `install it in the root (Debian: ${debian})`;
  return new SandboxError({
    stage: 'init',
    code: 'compositor-missing',
    message: `nothing in the root can show a program on the screen: there is no ${missing}`,
    remedy:
      compositor === 'xvnc'
        ? install
        : `${install}, or write ${compositorOption('none')} for a program that draws by itself`,
  });
}

function clipboardError(missing: string, packages: string): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'clipboard-tool-missing',
    message: `nothing in the root can read and write the clipboard: there is no ${missing}`,
    remedy: `install it in the root (Debian: apt-get install ${packages}), or leave out ${option('clipboard')}`,
  });
}

function failedError(name: string, end: string | undefined, words: string): SandboxError {
  return new SandboxError({
    stage: 'init',
    code: 'compositor-failed',
    message: `${name}, which is to show programs on the screen, ended (${end ?? 'with the sandbox'})${saying(words)}`,
    remedy: `see what it said last, below${name === 'xvnc' ? '' : `, or name another one: ${compositorOption('xorg')}`}`,
    consoleTail: words.trimEnd().split('\n').slice(-8).map(oneLine),
  });
}
