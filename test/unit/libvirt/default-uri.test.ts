/** The default URI from libvirt's own settings. */

import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { defaultUri } from '../../../src/libvirt/default-uri.js';
import { scratchDirectory } from '../../helpers/scratch.js';

const ORDINARY = 1000;

/** Settings of an ordinary user with this libvirt.conf. */
function settings(t: TestContext, conf: string): { readonly environment: NodeJS.ProcessEnv; readonly file: string } {
  const home = scratchDirectory(t);
  mkdirSync(join(home, 'libvirt'));
  const file = join(home, 'libvirt', 'libvirt.conf');
  writeFileSync(file, conf);
  return { environment: { XDG_CONFIG_HOME: home }, file };
}

for (const [what, conf, uri] of [
  ['in quotation marks', 'uri_default = "qemu:///session"\n', 'qemu:///session'],
  ['of either kind', "uri_default='lxc:///'", 'lxc:///'],
  ['with a comment behind', '  uri_default  =  "qemu:///embed"  # "mine"\n', 'qemu:///embed'],
  ['among others', '# uri_default = "a"\nuri_aliases = [\n  "a=b",\n]\nuri_default = "c"\nuri_default = "d"\n', 'c'],
  ['not at all', '#uri_default = "qemu:///system"\nuri_default_of_mine = "x"\n', undefined],
  ['empty', 'uri_default = ""\n', undefined],
] as const) {
  test(`the URI in libvirt.conf: ${what}`, (t) => {
    const { environment, file } = settings(t, conf);
    const expected = uri === undefined ? undefined : { uri, origin: `uri_default in ${file}` };
    assert.deepEqual(defaultUri(environment, ORDINARY), expected);
  });
}

for (const value of ['qemu:///system', '"qemu:///system', '"a" "b"', '["a"]', '7', '']) {
  test(`an error names file and line: uri_default = ${value}`, (t) => {
    const { environment, file } = settings(t, `\nuri_default = ${value}\n`);
    assert.throws(() => defaultUri(environment, ORDINARY), {
      code: 'libvirt-conf-invalid',
      message: `line 2 of ${file} has uri_default without a string in quotation marks`,
    });
  });
}

test('the variable wins over the file, unless it is empty', (t) => {
  const { environment } = settings(t, 'uri_default = "from the file"');
  const named = (uri: string) => defaultUri({ ...environment, LIBVIRT_DEFAULT_URI: uri }, ORDINARY);
  assert.deepEqual(named('mine'), { uri: 'mine', origin: 'LIBVIRT_DEFAULT_URI' });
  assert.equal(named('')?.uri, 'from the file');
});

test('each user has a file of their own, which may be missing', (t) => {
  const home = scratchDirectory(t);
  assert.equal(defaultUri({ XDG_CONFIG_HOME: home }, ORDINARY), undefined);
  const { environment } = settings(t, 'uri_default = "not of root"');
  assert.notEqual(defaultUri(environment, 0)?.uri, 'not of root');
});

test('a file that cannot be read is an error', (t) => {
  const home = scratchDirectory(t);
  mkdirSync(join(home, 'libvirt', 'libvirt.conf'), { recursive: true });
  assert.throws(() => defaultUri({ XDG_CONFIG_HOME: home }, ORDINARY), { code: 'libvirt-conf-unreadable' });
});
