/** QEMU's command line without libvirt: split, run bare, and restored bare. */

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { uncontrolledArgv } from '../../../../src/bench/run/bare-qemu.js';
import { bareMachine, splitCommandLine } from '../../../../src/bench/run/qemu-argv.js';

const LINE = `LC_ALL=C HOME=/a /usr/bin/qemu-system-x86_64 -name guest=x -S -object '{"qom-type":"secret","id":"k"}' \
-machine q35,acpi=on -cpu max -nodefaults -chardev socket,id=charmonitor,path=/m,server=on,wait=off -mon chardev=charmonitor,mode=control \
-no-shutdown -kernel /k -initrd /i -append 'quiet a=b it'\\''s' -chardev socket,id=charserial0,path=/c \
-device '{"driver":"isa-serial","chardev":"charserial0"}'
`;

test('a quoted command line is split as by a shell, without its leading variables', () => {
  assert.deepEqual(splitCommandLine(`A=b c 'd e' f\\ g "h`), ['c', 'd e', 'f g', '"h']);
  const words = splitCommandLine(LINE);
  assert.equal(words[0], '/usr/bin/qemu-system-x86_64');
  assert.equal(words[words.indexOf('-append') + 1], "quiet a=b it's");
});

test('the same machine runs without libvirt', () => {
  assert.deepEqual(bareMachine(splitCommandLine(LINE), '/mine'), [
    '/usr/bin/qemu-system-x86_64',
    ...['-machine', 'q35,acpi=on', '-cpu', 'max', '-nodefaults', '-kernel', '/k', '-initrd', '/mine'],
    ...['-append', "quiet a=b it's", '-chardev', 'null,id=charserial0'],
    ...['-device', '{"driver":"isa-serial","chardev":"charserial0"}'],
  ]);
});

test('the same machine is restored without libvirt, with its sockets and its initrd', () => {
  const words = uncontrolledArgv(splitCommandLine(LINE));
  assert.deepEqual(words.slice(0, 5), ['/usr/bin/qemu-system-x86_64', '-name', 'guest=x', '-machine', 'q35,acpi=on']);
  assert.doesNotMatch(words.join('\n'), /charmonitor|"secret"|^-(?:S|no-shutdown)$/m);
  assert.ok(words.includes('-nodefaults'));
  assert.match(words[words.indexOf('-chardev') + 1] ?? '', /id=charserial0/);
  assert.equal(words[words.indexOf('-initrd') + 1], '/i');
});

test('a machine without an initrd is refused', () => {
  assert.throws(() => bareMachine(['qemu', '-kernel', '/k'], '/mine'), /-initrd/);
  assert.throws(() => bareMachine([], '/mine'), /empty/);
});
