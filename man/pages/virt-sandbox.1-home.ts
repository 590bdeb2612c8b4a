/** The option --home of virt-sandbox(1). */
import type { Detail } from '../program-description.js';

export const home = {
  value: 'tmp|host|DIR',
  complete: 'directory',
  text: [
    'Says what the home directory inside is, which HOME names.',
    {
      terms: [
        ['`tmp`', 'An empty directory in memory, of the user inside. It is gone at the end.'],
        ['`host`', 'That of the root, as it is: read-only, and as far as the host lets it be read.'],
        [
          '*DIR*',
          'A directory of the host, which is kept. If it is missing it is made, with those above it, for its owner alone. It must belong to the caller (to the user of `--switchto`, for root), have the mode 0700, and be in a directory that only the caller can enter. A directory named `tmp` is `./tmp`.',
        ],
      ],
    },
    'With `tmp` and *DIR* nothing is seen of the homes of the caller and of the user inside. The default is `host`, and `tmp` where nobody but root can enter the home, as is usual for root’s.',
  ],
} as const satisfies Detail;
