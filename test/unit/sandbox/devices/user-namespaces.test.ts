import assert from 'node:assert/strict';
import { it } from 'node:test';
import { reasonAgainstUserNamespaces } from '../../../../src/sandbox/devices/user-namespaces.js';

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
