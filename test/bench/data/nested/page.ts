/** docs/data-path-nested.md: the figures of one run of the benchmark `data` under KVM, in an emulated machine. */
import type { DataResult } from '../measure.js';
import { figures, methodText, systemsText, wrapped } from '../page.js';
import { MACHINE_MEMORY } from './machine.js';

const CLOCK =
  "the emulated machine, between two lines that the program prints: a guest's clock was seen to stand still there";

export interface NestedRun {
  /** One line that says of which versions and which machine the figures are. */
  readonly machine: string;
  /** How often each system ran. */
  readonly runs: number;
  readonly scale: number;
  /** After which it was to end. */
  readonly minutes: number;
  /** How long it took, all in all, in minutes. */
  readonly took: number;
  /** Load average of the real host at the end, the emulated machine's own work among it. */
  readonly loadAfter: number;
}

export function nestedPage(result: DataResult, { machine, runs, scale, minutes, took, loadAfter }: NestedRun): string {
  const options = `--only data --nested --runs ${runs} --scale ${scale} --minutes ${minutes}`;
  return `# Files: how fast they are inside, under KVM

Compare reading and writing in a sandbox under KVM with virtme-ng and with a bare QEMU, where no KVM runs: in a machine
that is emulated, and is a KVM host. [data-path.md](data-path.md) has the same without KVM. This page is written by its
benchmark:

    make bench BENCH="${options} --page docs/data-path-nested.md"

${wrapped(`${machine}; load after the last run ${loadAfter.toFixed(2)}; ${took} minutes in all`)}

## What the figures stand for

- **Shares of the time** are near those of a host with KVM where programs compute: guest, file server and launcher are
  all emulated, at the same speed.
- **An exit to KVM costs far more than on hardware**, and so does an interrupt. A request to what serves files takes
  some of both. So what asks often (\`find\`, \`git status\`, the echoes, 9p that keeps nothing) is slower here beside
  what asks seldom than it is on hardware.
- **The seconds** stand for nothing, also beside those of [data-path.md](data-path.md): they are for ${scale} of the files
  and bytes there, and for smaller trees.

${figures(result, 'the emulated machine')}## How it is measured

- **The emulated machine** is a sandbox with \`--nested-kvm\`, ${MACHINE_MEMORY} of memory and two processors
  ([kvm.md](kvm.md#a-kvm-host-where-there-is-none)). Its root is a copy of this host's programs on ext4, on a virtio
  disk. So what serves files finds a file system on a disk, as on most hosts, and the server of a root
  [keeps content](decisions/0055-server-of-the-root.md) as it does there. The connection is \`qemu:///embed\`.
${systemsText('*The emulated machine* runs the rows itself, without a machine in it, once, with full caches.')}
${methodText(CLOCK, 'half a minute')}
- Figures are medians of the runs: ${runs}.

## Limits

- On a host that does other work the figures are worthless, and ratios are better than they. With two processors, the
  guest takes one of the emulated machine's, and what serves its files the other.
- QEMU emulates AMD's virtualization. Intel's has not been tried.
`;
}
