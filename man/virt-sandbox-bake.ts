/** virt-sandbox-bake(1), beside the tables of its commands. */
import { bakeCommands } from '../src/cli/bake/options.js';
import { INITRD_COMPRESSIONS } from '../src/image/manifest.js';
import type { Program } from './program.js';

export const virtSandboxBake: Program = {
  name: 'virt-sandbox-bake',
  summary: 'make, keep and look into boot images',
  usage: '*COMMAND* [*OPTIONS*]',
  description: [
    'Makes, keeps and looks into the boot images that virt-sandbox(1) runs machines from. virt-sandbox makes one by itself where it needs it, so this is for those who want to have made it before, to have it elsewhere, or to know what is in it.',
    'An *image* is a name, an id or its beginning, or a directory with a slash in it.',
  ],
  options: {},
  commands: bakeCommands,
  details: {
    kernver: { value: 'VERSION', complete: 'kernel' },
    kernpath: { value: 'FILE', complete: 'file' },
    kmodpath: { value: 'DIR', complete: 'directory' },
    name: { value: 'NAME' },
    output: { value: 'DIR', complete: 'directory' },
    with: { value: 'NEED,...', complete: { list: ['network', 'block', 'overlay'] } },
    for: { value: 'OPTIONS' },
    slots: {
      value: 'KIND=COUNT,...',
      complete: { list: ['mounts=', 'disks=', 'networks='] },
      text: [
        'With `--warm`: how many of each a sandbox may have at most that starts from the saved machine. A kind that is left out keeps its default, which is `mounts=4`, and as many disks and networks as the sandbox of `--for` has. Directories that virtiofs serves, as it does for root, need no place.',
        {
          terms: [
            ['`mounts`', 'Directories of the host.'],
            [
              '`disks`',
              'Disks, and disk images that are mounted. They bring ext4 with them; `--with filesystem-xfs` adds XFS, and so on.',
            ],
            ['`networks`', 'Network interfaces.'],
          ],
        },
      ],
    },
    connect: { value: 'URI', complete: { words: ['qemu:///system', 'qemu:///session', 'qemu:///embed'] } },
    profile: { value: 'PROFILE', complete: { words: ['compatible', 'default', 'fast'] } },
    compress: { value: 'KIND', complete: { words: INITRD_COMPRESSIONS } },
    'older-than': { value: 'AGE' },
    'common-init': { value: 'WHERE', complete: { words: ['host', 'guest'] } },
    node: { value: 'FILE', complete: 'file' },
  },
  runs: 'nothing',
  argument: 'directory',
  sections: [
    {
      title: 'Exit status',
      body: [
        '0; 1 when `verify` finds damage or `diff` a difference; 125 when it failed, with one line on standard error.',
      ],
    },
    {
      title: 'Files',
      body: [
        {
          terms: [
            [
              '`/var/cache/virt-sandbox/images`, `~/.cache/virt-sandbox/images`',
              'The store of root, and of another user.',
            ],
          ],
        },
      ],
    },
    { title: 'See also', body: ['virt-sandbox(1)'] },
  ],
};
