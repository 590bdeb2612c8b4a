import assert from 'node:assert/strict';
import { it } from 'node:test';
import { reasonAgainstProc, reasonAgainstUserNamespaces } from '../../../../src/sandbox/devices/user-namespaces.js';

/** Files of a host. */
const files = (texts: Readonly<Record<string, string>>) => (path: string) => texts[path];

it('a host that allows no user namespaces is known by its settings', () => {
  const table: [Readonly<Record<string, string>>, RegExp | undefined][] = [
    [{}, undefined],
    [{ '/proc/sys/user/max_user_namespaces': '63502\n' }, undefined],
    [{ '/proc/sys/user/max_user_namespaces': '0\n' }, /\(user\.max_user_namespaces=0\)/],
    [{ '/proc/sys/kernel/unprivileged_userns_clone': '1\n' }, undefined],
    [{ '/proc/sys/kernel/unprivileged_userns_clone': '0\n' }, /\(kernel\.unprivileged_userns_clone=0\)/],
    [{ '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '0\n' }, undefined],
    [{ '/proc/sys/kernel/apparmor_restrict_unprivileged_userns': '1\n' }, /\(kernel\.apparmor_restrict_\w+=1\)/],
  ];
  for (const [texts, reason] of table)
    assert.match(reasonAgainstUserNamespaces(files(texts)) ?? '', reason ?? /^$/, JSON.stringify(texts));
});

it('a /proc that is covered in part is known by the mounts', () => {
  const mounts = (...points: readonly string[]) => ({
    '/proc/self/mountinfo': points.map((point) => `30 23 0:26 / ${point} rw - proc proc rw\n`).join(''),
  });
  assert.equal(reasonAgainstProc(files({})), undefined);
  const empty = ['/proc/sys/fs/binfmt_misc', '/proc/fs/nfsd', '/proc/xen'];
  assert.equal(reasonAgainstProc(files(mounts('/', '/proc', ...empty, '/procession'))), undefined);
  assert.match(reasonAgainstProc(files(mounts('/', '/proc', '/proc/kcore'))) ?? '', /\/proc\/kcore is covered here/);
});
