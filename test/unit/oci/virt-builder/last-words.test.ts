/** What programs of libguestfs say of their failures. The texts are those of version 1.52.3. */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { lastWords } from '../../../../src/oci/virt-builder/last-words.js';

const BUG =
  '\n\nIf reporting bugs, run virt-builder with debugging enabled and include the complete output:\n\n  virt-builder -v -x [...]\n';
const LAUNCH = `This usually means the libguestfs appliance failed to start or crashed.
Do:
  export LIBGUESTFS_DEBUG=1 LIBGUESTFS_TRACE=1
and run the command again.  For further information, read:
  http://libguestfs.org/guestfs-faq.1.html#debugging-libguestfs
You can also run 'libguestfs-test-tool' and post the *complete* output
into a bug report or message to the libguestfs mailing list.
`;

describe('last words', () => {
  for (const [text, program, words] of [
    [
      `virt-builder: error: cannot find os-version ‘nope’ with architecture ‘x86_64’.\nUse --list to list available guest types.${BUG}`,
      'virt-builder',
      'cannot find os-version ‘nope’ with architecture ‘x86_64’',
    ],
    [
      `curl: (6) Could not resolve host: x.example\nvirt-builder: error: downloading http://x.example/index: exited with error 6${BUG}`,
      'virt-builder',
      'curl: (6) Could not resolve host: x.example, downloading http://x.example/index: exited with error 6',
    ],
    [
      `virt-builder: warning: something else\nvirt-builder: error: libguestfs error: guestfs_launch failed.\n${LAUNCH}${BUG}`,
      'virt-builder',
      'virt-builder: warning: something else, libguestfs error: guestfs_launch failed',
    ],
    [
      `*stdin*:0: libguestfs: error: appliance closed the connection unexpectedly.\n${LAUNCH}`,
      'virt-tar-out',
      'appliance closed the connection unexpectedly',
    ],
    [
      '/usr/bin/virt-tar-out: access: /x: No such file or directory\n',
      'virt-tar-out',
      '/usr/bin/virt-tar-out: access: /x: No such file or directory',
    ],
    ['one\n\ntwo\n', 'virt-builder', 'one, two'],
    ['', 'virt-builder', ''],
    ['\n \n', 'virt-builder', ''],
  ] as const)
    it(`are: ${words.slice(0, 60)}`, () => assert.equal(lastWords(text, program), words));

  it('are few, however much was written', () => {
    assert.ok(lastWords(`virt-builder: error: ${'x'.repeat(8000)}`, 'virt-builder').length <= 301);
    assert.ok(lastWords('x'.repeat(8000), 'virt-builder').length <= 301);
    const lines = Array.from({ length: 2000 }, (_, at) => `virt-builder: error: ${at}`).join('\n');
    assert.ok(lastWords(lines, 'virt-builder').length <= 301);
  });
});
