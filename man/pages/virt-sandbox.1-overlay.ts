/** The text of `--overlay` in virt-sandbox(1). */
import type { Detail } from '../program-description.js';

export const overlay: Detail = {
  value: 'WHERE',
  complete: 'file',
  text: [
    'Lets the command write to the whole root, with the rights of its user. No file of the host’s root changes. A mount is written to as without this option. *WHERE* says where the command’s writes go. It follows a `=`, since the next word begins the command.',
    {
      terms: [
        ['`memory`', 'The default. Memory of the sandbox, at most half of `--memory`. It is gone at the end.'],
        [
          '*DIR*',
          'A directory of the host, with a slash in its path; for root. A machine needs `virtiofsd` for it. It is kept, and a later sandbox goes on with it. It is made if it is missing. Only root may reach it: mode 0700, in directories that only root can write to. It is for one sandbox at a time, and belongs to the root that it was made over. A machine, a container and a container with `-p` each have one of their own. In a container without `-p` there are no `--userns`, `--shell` and breakpoints with it. In a container no mount and no include goes over a symbolic link that an earlier sandbox may have left.',
        ],
        [
          '*FILE*`.qcow2`',
          'In a machine only, since the kernel of the host would have to mount what sandboxes have written: a disk image, which is kept, and a later sandbox goes on with it. Files in it have the owners that they have inside, also for an ordinary user. If it is missing it is made: ext4 of 10 GiB, which takes as much space as is written. It must belong to the caller, and be in a place where nobody else can put another. One sandbox at a time can have it.',
        ],
      ],
    },
  ],
};
