/** The program virt-sandbox: a thin user of the public interface. */
import { isOutOfFiles, messageOf, SandboxError } from '../errors.js';
import { mark } from '../marks.js';
import { parseArguments } from './arguments.js';
import { givenWords } from './argv.js';
import { readHelp } from './help.js';
import { failureText } from './report.js';
import { version } from './version.js';

/** Exit status for a failure of the sandbox itself. */
const OWN_FAILURE = 125;

// Not by running out of things to do: a library thread or an idle stdin must not hold the exit up.
void main().then((status) => {
  mark('cli.end');
  process.exit(status);
});

async function main(): Promise<number> {
  // Whoever reads the messages may go away; that is no reason to end.
  process.stderr.on('error', () => {});
  try {
    const traced = process.env['VIRT_SANDBOX_TRACE'];
    if (traced) (await import('./trace.js')).writeTrace(traced);
    mark('cli.start');
    const request = parseArguments(givenWords());
    mark('cli.parsed');
    if ('asks' in request) {
      process.stdout.write(request.asks === 'help' ? readHelp('virt-sandbox') : `virt-sandbox version ${version}\n`);
      return 0;
    }
    const { run } = await import('./run.js');
    return await run(request.run);
  } catch (thrown) {
    const error = isOutOfFiles(thrown) ? outOfFiles(thrown) : thrown;
    if (error instanceof SandboxError) {
      process.stderr.write(failureText(error));
      return error.exitCode;
    }
    process.stderr.write(
      `virt-sandbox: internal error, please report it: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return OWN_FAILURE;
  }
}

/** It may come to that at any place. */
function outOfFiles(cause: unknown): SandboxError {
  return new SandboxError({
    stage: 'config',
    code: 'out-of-files',
    message: messageOf(cause),
    remedy: 'open fewer',
    cause,
  });
}
