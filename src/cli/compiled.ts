/**
 * Runs a bundled program from V8's compiled code, which scripts/bundle.mjs writes to a file beside the bundle.
 * Compiling it anew would take a tenth of the time that Node.js itself takes to start. V8 does not check that the code
 * belongs to the source, so the build writes both. V8 does not check the patch level of Node.js either, and crashes on
 * code of another one, so the file name has the version.
 * https://nodejs.org/api/vm.html#scriptcreatecacheddata
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { Script } from 'node:vm';
import { valueOr } from '../util/errors.js';

/** @param program the name of a bundle beside this one, without its ending */
export function runCompiled(program: string): void {
  returnCertificates();
  const filename = join(__dirname, `${program}.cjs`);
  const script = compiled(filename);
  const run = script.runInThisContext() as (...given: readonly unknown[]) => void;
  run({}, createRequire(filename), {}, filename, dirname(filename), (name: string) => import(name));
}

/** Runs virt-sandbox: by a smaller bundle where a word may ask for a pool. */
export function runSandbox(): void {
  const mayPool = process.argv.some((word) => word === '--pool' || word.startsWith('--pool='));
  runCompiled(mayPool ? 'virt-sandbox-pool' : 'virt-sandbox');
}

/**
 * Gives NODE_EXTRA_CA_CERTS back, which the programs' first line has moved away: Node.js reads that file as it starts,
 * for connections that no program here makes, and takes longer for it than for all the rest. What the program starts
 * and what it passes to a sandbox (`--env NODE_EXTRA_CA_CERTS`) is to see the caller's.
 * https://nodejs.org/api/cli.html#node_extra_ca_certsfile
 */
function returnCertificates(): void {
  const { env } = process;
  const file = env[MOVED_CERTIFICATES];
  delete env[MOVED_CERTIFICATES];
  if (file) env['NODE_EXTRA_CA_CERTS'] = file;
}

const MOVED_CERTIFICATES = 'VIRT_SANDBOX_CA_CERTS';

function compiled(filename: string): Script {
  const cachedData = valueOr(() => readFileSync(cacheOf(filename)), undefined);
  return new Script(wrapped(readFileSync(filename, 'utf8')), {
    filename,
    ...(cachedData === undefined ? {} : { cachedData }),
  });
}

/** The file with a bundle's code for the running Node.js. Another version finds no file, and compiles. */
export function cacheOf(filename: string): string {
  return `${filename}.${process.version}-${process.arch}.v8`;
}

/** What bundles call in place of `import`: Node.js gives no `import` to code that was compiled before. */
export const IMPORT = '__import';

/** The source of a CommonJS module in the function that Node.js makes of it. */
export function wrapped(source: string): string {
  return `(function(exports,require,module,__filename,__dirname,${IMPORT}){${source}\n})`;
}
