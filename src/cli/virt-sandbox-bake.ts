/** The program virt-sandbox-bake. */
import { SandboxError } from '../errors.js';
import { givenWords, refuseRaw } from './argv.js';
import { type BakeRequest, parseBakeArguments } from './bake-arguments.js';
import { version } from './version.js';

/** Exit status for a failure of this program. */
const OWN_FAILURE = 125;

void main().then((status) => {
  // Output to a pipe may still be on its way.
  process.exitCode = status;
});

async function main(): Promise<number> {
  for (const stream of [process.stdout, process.stderr]) {
    stream.on('error', (error: NodeJS.ErrnoException) => {
      // Whoever has read enough of a list closes the pipe.
      process.exit(error.code === 'EPIPE' ? 0 : OWN_FAILURE);
    });
  }
  try {
    const words = givenWords();
    for (const word of words) refuseRaw(word, 'the word');
    const request = await parseBakeArguments(words, version);
    if ('print' in request) {
      process.stdout.write(request.print);
      return 0;
    }
    return await dispatch(request);
  } catch (error) {
    if (error instanceof SandboxError) {
      process.stderr.write(`virt-sandbox-bake: ${error.line}\n`);
      return error.exitCode;
    }
    process.stderr.write(
      `virt-sandbox-bake: internal error, please report it: ${error instanceof Error ? error.stack : String(error)}\n`,
    );
    return OWN_FAILURE;
  }
}

async function dispatch({ command, args }: Exclude<BakeRequest, { print: string }>): Promise<number> {
  switch (command) {
    case 'create':
      return (await import('./bake-create.js')).create(args);
    case 'list':
      return (await import('./bake-store.js')).list(args);
    case 'show':
      return (await import('./bake-store.js')).show(args);
    case 'ls':
    case 'cat':
    case 'unpack':
    case 'diff':
    case 'verify':
      return (await import('./bake-inspect.js'))[command](args);
    case 'rm':
      return (await import('./bake-store.js')).remove(args);
    case 'prune':
      return (await import('./bake-store.js')).prune(args);
  }
}
