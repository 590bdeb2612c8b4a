/**
 * The scripts of examples/ run as they stand and print what a reader may expect. Those in TypeScript are compiled
 * against the types of the package, as by somebody who has installed it.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { promisify } from 'node:util';
import { embedded } from '../helpers/connections.js';
import { withoutFallbacks } from '../helpers/fallback.js';
import { environment, REPOSITORY } from '../helpers/run.js';
import { privateStore } from '../helpers/snapshots.js';

const EXAMPLES = join(REPOSITORY, 'examples');

/** What each prints. The first bakes a snapshot that serves all others, so that only one machine boots. */
const PRINTED: Readonly<Record<string, RegExp>> = {
  'warm.sh': /^a warm start\nanother, with eth0 lo \n$/,
  'first.sh': /^Linux x86_64\nHELLO FROM THE HOST\nexit status: 7\n$/,
  'untrusted.sh': /^interfaces: lo\nthe files of the host: read-only\na result\n$/,
  'disk.sh': /^kept\n$/,
  'network.sh': /^eth0 +UP +10\.0\.2\.15\/24 \nnameserver 10\.0\.2\.3\n$/,
  'job.sh': /^hi from nobody\ntmpfs\n$/,
  'run.mjs': /^output: HELLO; exit status: 3\n$/,
  'many.mjs': /^one \(0\)\ntwo \(2\)\nthree \(0\)\n$/,
  'command.ts': /^HELLO \(3\)\n$/,
  'machine.ts': /^hi from the machine\n$/,
  'pool.ts': /^hi from first\n$/,
  'terminal.ts': /^typed\r\ntyped on vt100\r\n50 100\r\n\n$/,
  'lines.ts': /^1 \+ 1 = 2\n6 \* 7 = 42\nexit status: 0\n$/,
  'start.ts': /^from the host\nSIGKILL true\n$/,
  'errors.ts':
    /^none\napplication: run-failed \(3\)\napplication: command-not-found \(127\)\nconfig: memory-out-of-range \(125\)\n$/,
  'cancel.ts': /^not needed any more\nSIGTERM\n$/,
  'detached.ts': /^detached: true\nstate: ready\nexit status: 143\n$/,
  'options.ts': /^hi from nobody\n$/,
  'desktop.ts': /^Hello from the host\nPNG\n$/,
  'images.ts': /^\d\S+ is whole\n$/,
};

/** What is said on stderr; nothing by the others. */
const SAID: Readonly<Record<string, RegExp>> = { 'command.ts': /^start: \d+ ms, run: \d+ ms\n$/ };

/** As a careful user has them. Nothing is left out: the declarations of the package are checked too. */
const COMPILER_OPTIONS = {
  module: 'nodenext',
  target: 'es2022',
  strict: true,
  exactOptionalPropertyTypes: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  types: ['node'],
  rootDir: '.',
  outDir: 'compiled',
};

/** Compiles the examples in TypeScript. @param directory has them then, as JavaScript, in `compiled` */
async function compile(directory: string): Promise<void> {
  const modules = join(directory, 'node_modules');
  mkdirSync(join(modules, '@types'), { recursive: true });
  symlinkSync(REPOSITORY, join(modules, 'virt-sandbox'));
  symlinkSync(join(REPOSITORY, 'node_modules/@types/node'), join(modules, '@types/node'));
  const files = readdirSync(EXAMPLES).filter((name) => name.endsWith('.ts'));
  for (const name of files) copyFileSync(join(EXAMPLES, name), join(directory, name));
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}');
  writeFileSync(join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: COMPILER_OPTIONS, files }));
  const tsc = join(REPOSITORY, 'node_modules/typescript/bin/tsc');
  const { stdout } = await promisify(execFile)(process.execPath, [tsc, '-p', directory]).catch(
    ({ stdout }: { readonly stdout: string }) => assert.fail(stdout),
  );
  assert.equal(stdout, '');
}

function commandOf(name: string, compiled: string): [program: string, ...args: string[]] {
  const file = join(EXAMPLES, name);
  if (name.endsWith('.sh')) return [file];
  return [process.execPath, name.endsWith('.ts') ? join(compiled, 'compiled', name.replace(/ts$/, 'js')) : file];
}

describe('the examples', { skip: embedded.skip }, () => {
  const store = privateStore();
  const compiled = mkdtempSync(join(tmpdir(), 'virt-sandbox-examples-'));
  before(() => compile(compiled));
  after(() => {
    store.remove();
    rmSync(compiled, { recursive: true });
  });

  it('are all listed here, and each says in one line what it does', () => {
    const files = readdirSync(EXAMPLES).filter((name) => !name.endsWith('.md'));
    assert.deepEqual(files.sort(), Object.keys(PRINTED).sort());
    for (const name of files) {
      assert.match(readFileSync(join(EXAMPLES, name), 'utf8'), /^(#!\/bin\/sh\n# |\/\/ )[A-Z].*\.\n(?!#|\/\/)/, name);
    }
  });

  for (const [name, printed] of Object.entries(PRINTED)) {
    it(name, async () => {
      const [program, ...args] = commandOf(name, compiled);
      const path = `${join(REPOSITORY, 'bin')}:${process.env['PATH']}`;
      const env = environment({ ...store.env, LIBVIRT_DEFAULT_URI: embedded.uri, PATH: path });
      const { stdout, stderr } = await promisify(execFile)(program, args, { env, timeout: 180_000 });
      assert.match(stdout, printed);
      assert.match(withoutFallbacks(stderr), SAID[name] ?? /^$/);
    });
  }
});
