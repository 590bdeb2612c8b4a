/** Tells the user what the host refuses of a disk. The guest itself sees no more than I/O errors. */
import type { DiskDevice } from '../../domain/disks.js';
import type { Monitor } from '../../libvirt/monitor.js';

/**
 * What QEMU says of a host that is full, in the locale that libvirt starts it in. Its `nospace` is for machines that
 * such an error would pause.
 */
const FULL: readonly unknown[] = ['No space left on device', 'Disk quota exceeded'];

type Disk = Pick<DiskDevice, 'source' | 'readOnly'>;

/**
 * Listens until QEMU ends. Each disk is reported once for each kind of failure, however often the guest tries again.
 * @param disks in the order of the domain, with the host's paths
 */
export function watchDisks(
  monitor: Pick<Monitor, 'listen'>,
  disks: readonly Disk[],
  onWarning: (sentence: string) => void,
): void {
  if (disks.length === 0) return;
  const told = new Set<string>();
  // https://www.qemu.org/docs/master/interop/qemu-qmp-ref.html#event-QMP-block-core.BLOCK_IO_ERROR
  monitor.listen(({ name, data }) => {
    if (name !== 'BLOCK_IO_ERROR') return;
    const disk = diskOf(data['qom-path'], disks);
    const isRead = data['operation'] === 'read';
    // A guest's driver may write to a disk that says it is read-only. QEMU refuses that, and nothing is amiss.
    if (disk?.readOnly && !isRead) return;
    const sentence = sentenceOf(disk, FULL.includes(data['reason']), isRead);
    if (told.has(sentence)) return;
    told.add(sentence);
    // Not from here: if a program's handler throws, the monitor must still read the rest of what QEMU has sent.
    queueMicrotask(() => onWarning(sentence));
  });
}

/** The domain's name of a device has its number: `/machine/peripheral/virtio-disk0/virtio-backend`. QEMU has it since 9.2. */
function diskOf(path: unknown, disks: readonly Disk[]): Disk | undefined {
  const number = typeof path === 'string' ? /\/virtio-disk(\d+)(?:\/|$)/.exec(path)?.[1] : undefined;
  return disks.length === 1 ? disks[0] : disks[Number(number)];
}

function sentenceOf(disk: Disk | undefined, isFull: boolean, isRead: boolean): string {
  const name = disk === undefined ? 'a disk' : `the disk ${disk.source}`;
  if (isFull)
    return `the host has no space left for ${name}: writes fail inside, and what was not synced may be lost; free space there, and check the file system on that disk`;
  const what = isRead ? 'read from' : 'write to';
  return `the host cannot ${what} ${name}, so I/O fails inside; if the disk is at fault, the host's kernel says so (dmesg)`;
}
