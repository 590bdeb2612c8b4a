/** `npm ci` in an overlay: packages with an install script and a program, without a network. The host keeps its files. */
import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, it } from 'node:test';
import { ACCEL } from '../helpers/acceleration.js';
import { embedded } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';
import { fingerprint } from '../helpers/tree-listing.js';

/** Not in /tmp, which a sandbox has of its own. */
const ground = mkdtempSync('/var/tmp/virt-sandbox-npm-');
const project = join(ground, 'project');
const QUIET = ['--offline', '--no-audit', '--no-fund', '--loglevel=error'];

/** npm starts in seconds, and ten times slower in an emulated machine. */
const TIMEOUT = 400_000;

/** npm on the host, which keeps its cache and its log in the ground. */
function npm(directory: string, ...args: readonly string[]): void {
  const env = { ...process.env, npm_config_cache: join(ground, 'cache') };
  execFileSync('npm', [...args, ...QUIET], { cwd: directory, env, stdio: ['ignore', 'ignore', 'inherit'] });
}

function makePackage(name: string, more: object, file: string, text: string): void {
  const directory = join(ground, name);
  mkdirSync(directory);
  writeFileSync(join(directory, 'package.json'), JSON.stringify({ name, version: '1.0.0', ...more }));
  writeFileSync(join(directory, file), text, { mode: 0o755 });
  npm(directory, 'pack', '--pack-destination', ground);
}

const SKIP = embedded.skip || unlessProgram('npm', 'node') || unlessForOthers();

/** QEMU has a user of its own where root starts it, who cannot read an npm in root's home. */
function unlessForOthers(): string | false {
  if (process.geteuid?.() !== 0) return false;
  const nobody = ['--reuid=65534', '--regid=65534', '--clear-groups', '--'];
  const { status } = spawnSync('setpriv', [...nobody, 'npm', '--version'], { cwd: '/', stdio: 'ignore' });
  return status === 0 ? false : 'npm is for root alone';
}

before(() => {
  chmodSync(ground, 0o755);
  if (SKIP) return;
  const say = '#!/usr/bin/env node\nconsole.log(require("overlay-two"));\n';
  makePackage('overlay-one', { bin: { 'overlay-say': 'say.js' } }, 'say.js', say);
  const make = 'require("fs").writeFileSync("index.js", "module.exports = \'built\'");\n';
  makePackage('overlay-two', { scripts: { install: 'node make.js' } }, 'make.js', make);
  mkdirSync(project);
  const dependencies = Object.fromEntries(
    ['one', 'two'].map((n) => [`overlay-${n}`, `file:../overlay-${n}-1.0.0.tgz`]),
  );
  writeFileSync(join(project, 'package.json'), JSON.stringify({ name: 'p', version: '1.0.0', dependencies }));
  npm(project, 'install', '--package-lock-only');
  assert.ok(existsSync(join(project, 'package-lock.json')));
  assert.equal(existsSync(join(project, 'node_modules')), false);
  rmSync(join(ground, 'cache'), { recursive: true });
  execFileSync('chmod', ['-R', 'a+rX', ground]);
});
after(() => rmSync(ground, { recursive: true, force: true }));

describe('npm ci', { skip: SKIP }, () => {
  it('installs what the lockfile has into an overlay, and the host has none of it', async () => {
    const earlier = fingerprint(ground);
    const found = await ask(
      ['-c', embedded.uri, ...ACCEL, '--overlay', '-p', '--memory', '1G', '--home', 'tmp'],
      {
        // In the tree of the host, not in a copy.
        install: `cd ${project} && npm ci ${QUIET.join(' ')} >/tmp/log 2>&1 || cat /tmp/log; ls node_modules`,
        run: `cd ${project} && node_modules/.bin/overlay-say`,
        cache: 'ls -d ~/.npm',
      },
      { timeout: TIMEOUT },
    );
    assert.equal(found.install, 'overlay-one\noverlay-two');
    assert.equal(found.run, 'built');
    assert.match(found.cache, /\/\.npm$/);
    assert.equal(fingerprint(ground), earlier);
  });
});
