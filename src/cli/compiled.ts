/**
 * Runs a bundled program from what V8 has compiled it to: a file beside it that scripts/bundle.mjs makes. Compiling takes a
 * tenth of the time that Node.js itself takes to start. V8 does not check that the file belongs to the source, so the build
 * writes both; nor does it check the patch level of Node.js, and crashes on code of another one, so the name of the file has it.
 * https://nodejs.org/api/vm.html#scriptcreatecacheddata
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { valueOr } from '../util/errors.js';

/** @param program the name of a bundle beside this one, without its ending */
export function runCompiled(program: string): void {
  const filename = join(__dirname, `${program}.cjs`);
  const script = compiled(filename);
  const run = script.runInThisContext() as (...given: readonly unknown[]) => void;
  run({}, createRequire(filename), {}, filename, dirname(filename), (name: string) => import(name));
}

function compiled(filename: string): Script {
  const cachedData = valueOr(() => readFileSync(cacheOf(filename)), undefined);
  return new Script(wrapped(readFileSync(filename, 'utf8')), {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
}

/** Where the code of a bundle is for the Node.js that runs this. Another one finds none, and compiles. */
export function cacheOf(filename: string): string {
  return `${filename}.${process.version}-${process.arch}.v8`;
}

/** What the bundles call in place of `import`, which Node.js does not give to code that was compiled before. */
export const IMPORT = '__import';

/** A CommonJS module as Node.js compiles it. */
export function wrapped(source: string): string {
  return `(function(exports,require,module,__filename,__dirname,${IMPORT}){${source}\n})`;
}
