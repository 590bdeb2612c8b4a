/**
 * A process that resolves one image: reads the options as JSON, and prints the image or the error as JSON. With an
 * image it says which heavy packages it had to load.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const start = performance.now();
const { SandboxError } = await import('../../src/util/errors.js');
const { resolveImage } = await import('../../src/image/resolve.js');

type Options = Parameters<typeof resolveImage>[0];
const given = JSON.parse(process.argv[2] ?? '{}') as Partial<Options>;
const kernel = { version: undefined, path: undefined, modulesPath: undefined, ...given.kernel };

/** Packages that are too slow to load if there is nothing to build; parts of their paths. */
const HEAVY = ['cpio-stream', 'lzma-native', 'koffi'];

function loaded(): string[] {
  const maps = readFileSync('/proc/self/maps', 'utf8');
  const scripts = Object.keys(createRequire(import.meta.url).cache).join('\n');
  return HEAVY.filter((name) => maps.includes(name) || scripts.includes(name));
}

try {
  const image = await resolveImage({ sets: [], nativeInit: '/bin/true', ...given, kernel });
  const elapsed = performance.now() - start;
  console.log(JSON.stringify({ ...image, elapsed, loaded: loaded() }));
} catch (error) {
  if (!(error instanceof SandboxError)) throw error;
  console.log(JSON.stringify({ code: error.code, line: error.line }));
}
