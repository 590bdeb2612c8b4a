/** The scripts of examples/ run as they stand and print what a reader may expect. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
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
};

describe('the examples', { skip: embedded.skip }, () => {
  const store = privateStore();
  after(() => store.remove());

  it('are all listed here, and each says in one line what it does', () => {
    const files = readdirSync(EXAMPLES).filter((name) => !name.endsWith('.md'));
    assert.deepEqual(files.sort(), Object.keys(PRINTED).sort());
    for (const name of files) {
      assert.match(readFileSync(join(EXAMPLES, name), 'utf8'), /^(#!\/bin\/sh\n# |\/\/ )[A-Z].*\.\n(?!#|\/\/)/, name);
    }
  });

  for (const [name, printed] of Object.entries(PRINTED)) {
    it(name, async () => {
      const file = join(EXAMPLES, name);
      const [program, args] = name.endsWith('.mjs') ? [process.execPath, [file]] : [file, []];
      const path = `${join(REPOSITORY, 'bin')}:${process.env['PATH']}`;
      const env = environment({ ...store.env, LIBVIRT_DEFAULT_URI: embedded.uri, PATH: path });
      const { stdout, stderr } = await promisify(execFile)(program, args, { env, timeout: 180_000 });
      assert.match(stdout, printed);
      assert.equal(withoutFallbacks(stderr), '');
    });
  }
});
