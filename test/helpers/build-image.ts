/**
 * A process that resolves one image: reads the options as JSON, and prints the image or the error as JSON. With an
 * image it says which heavy packages it had to load. With an option `stopBefore` it stops itself at that moment.
 */
import { readFileSync } from 'node:fs';
import files from 'node:fs/promises';
import { createRequire, syncBuiltinESMExports } from 'node:module';

const start = performance.now();
const { SandboxError } = await import('../../src/util/errors.js');
const { resolveImage } = await import('../../src/image/resolve.js');

type Options = Parameters<typeof resolveImage>[0];

/** The first such call for a path in a workspace of the store that ends with `path`. */
export interface Moment {
  /** Of node:fs/promises, or of a file that it has opened. */
  readonly call: 'chmod' | 'rename' | 'write' | 'sync';
  readonly path: string;
}

const { stopBefore, ...given } = JSON.parse(process.argv[2] ?? '{}') as Partial<Options> & { stopBefore?: Moment };
if (stopBefore !== undefined) stopAt(stopBefore);
const kernel = { version: undefined, path: undefined, modulesPath: undefined, ...given.kernel };

/** Packages that are too slow to load if there is nothing to build; parts of their paths. */
const HEAVY = ['cpio-stream', 'lzma-native', 'koffi'];

function loaded(): string[] {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const scripts = Object.keys(createRequire(import.meta.url).cache).join('\n');
  return HEAVY.filter((name) => maps.includes(name) || scripts.includes(name));
}

/** A test could not catch a builder at work for certain if it only looked for its files. */
function stopAt(moment: Moment): void {
  let hasStopped = false;
  const isInWorkspace = (path: string) => path.includes('/.build-') && path.endsWith(moment.path);
  const intercept = (of: object, call: Moment['call'], pathOf: (first: unknown) => string) => {
    const work = Reflect.get(of, call) as (...args: unknown[]) => unknown;
    Reflect.set(of, call, (...args: unknown[]) => {
      if (call === moment.call && !hasStopped && isInWorkspace(pathOf(args[0]))) {
        hasStopped = true;
        process.kill(process.pid, 'SIGSTOP');
      }
      return Reflect.apply(work, of, args);
    });
  };
  for (const call of ['chmod', 'rename'] as const) intercept(files, call, String);
  const { open } = files;
  Reflect.set(files, 'open', async (...args: Parameters<typeof open>) => {
    const file = await open(...args);
    for (const call of ['write', 'sync'] as const) intercept(file, call, () => String(args[0]));
    return file;
  });
  // For those who import the functions by their names.
  syncBuiltinESMExports();
}

try {
  const image = await resolveImage({ sets: [], nativeInit: '/bin/true', ...given, kernel });
  const elapsed = performance.now() - start;
  console.log(JSON.stringify({ ...image, elapsed, loaded: loaded() }));
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.log(JSON.stringify({ code: error.code, line: error.line }));
}
