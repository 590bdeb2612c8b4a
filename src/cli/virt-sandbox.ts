/** The program virt-sandbox: a thin user of the public interface. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { SandboxError } from '../errors.js';
import { packageDirectory } from '../programs.js';
import { parseArguments } from './arguments.js';
import { failureText } from './report.js';

/** Exit status for a failure of the sandbox itself. */
const OWN_FAILURE = 125;

// Not by running out of things to do: a library thread or an idle stdin must not hold the exit up.
process.exit(await main());

async function main(): Promise<number> {
  try {
    const request = await parseArguments(process.argv.slice(2), version());
    if ('print' in request) {
      process.stdout.write(request.print);
      return 0;
    }
    const { run } = await import('./run.js');
    return await run(request.run);
  } catch (error) {
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

function version(): string {
  const manifest = JSON.parse(readFileSync(join(packageDirectory(), 'package.json'), 'utf8')) as { version: string };
  return manifest.version;
}
