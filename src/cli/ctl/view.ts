/** virt-sandbox-ctl view: the screen of a sandbox in a browser. */
import { type ConnectedSandbox, connectSandbox } from '../../control/connect.js';
import { oneLine, SandboxError } from '../../util/errors.js';
import { ViewerServer } from '../../viewer/server.js';
import { print } from '../terminal/output.js';
import { untilSignal } from '../until-signal.js';
import { type CtlArguments, isSet, PROGRAM, textOf, usageError } from './arguments.js';
import { PageOpener } from './open-page.js';

const MOST_PORT = 65_535;

/** @returns the exit status, when the sandbox has ended or a signal has come */
export async function view(args: CtlArguments): Promise<number> {
  const [name = ''] = args.words;
  const port = portOf(textOf(args, 'port'));
  const clipboard = isSet(args, 'clipboard');
  return untilSignal(
    async (signal) => {
      const sandbox = await connectSandbox(name, { signal }).catch((error: unknown) => {
        throw signal.aborted ? abortedError() : error;
      });
      try {
        if (clipboard && name.includes('/')) throw foreignClipboard(name);
        await serve(sandbox, { name, port, clipboard, opens: isSet(args, 'open') }, signal);
      } finally {
        await sandbox.close();
      }
    },
    async () => 0,
  );
}

interface Served {
  readonly name: string;
  readonly port: number;
  readonly clipboard: boolean;
  readonly opens: boolean;
}

async function serve(sandbox: ConnectedSandbox, { name, port, clipboard, opens }: Served, signal: AbortSignal) {
  const dial = () => sandbox.openViewer();
  // Whether it can be looked at is said now, and not by the page.
  (await dial()).destroy();
  const ended = sandbox.wait().catch((error: unknown) => {
    if (!(error instanceof SandboxError)) throw error;
  });
  const opener = new PageOpener();
  const server = await ViewerServer.listen({ name, port, clipboard, dial, ended, onPage: () => opener.remove() });
  const stopped = new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
  let hasEnded = false;
  try {
    await print(`${server.url}\n`);
    if (opens) opener.open(server.url, (why) => say(`no browser was opened: ${why}; open the address by hand`));
    hasEnded = await Promise.race([ended.then(() => true), stopped.then(() => false)]);
    if (hasEnded) say(`the sandbox ${name} has ended`);
  } finally {
    opener.remove();
    await server.close(hasEnded ? 'ended' : 'stopped');
  }
}

function say(text: string): void {
  process.stderr.write(`${PROGRAM}: ${oneLine(text)}\n`);
}

/** @returns 0 for any that is free */
function portOf(text = '0'): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= MOST_PORT) return Number(text);
  throw usageError(`--port ${JSON.stringify(text)} is no port: 0 to ${MOST_PORT}`, 'view');
}

function abortedError(): SandboxError {
  return new SandboxError({
    ...{ stage: 'application', code: 'aborted' },
    message: 'it was cancelled',
    remedy: 'start it again',
  });
}

/** What listens there is that user's, and could read root's clipboard at any time. */
function foreignClipboard(name: string): SandboxError {
  return new SandboxError({
    ...{ stage: 'application', code: 'clipboard-not-shared' },
    message: `the clipboard is not shared with the sandbox ${name} of another user`,
    remedy: 'leave out --clipboard',
  });
}
