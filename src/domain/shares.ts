/**
 * The XML of shares: directories of the host.
 *
 * https://libvirt.org/formatdomain.html#filesystems, https://libvirt.org/kbase/virtiofs.html
 */
import { MODERN } from './virtio.js';
import { type Element, EMPTY } from './xml.js';

export interface Share {
  /** Mount tag, at most 31 characters. */
  readonly tag: string;
  readonly directory: string;
  readonly readOnly: boolean;
  /**
   * 9p: QEMU serves it, with the rights of its own user, who owns every new file. virtiofs: a mount is
   * served by virtiofsd as root, so that files have the owners and modes that the guest gives them, and the root by
   * init/share-server as nobody.
   */
  readonly transport: '9p' | 'virtiofs';
  /** What the guest keeps of what it has read; undefined: `auto`, which is virtiofsd's too. 9p: the guest chooses it. */
  readonly cache?: 'auto' | 'never' | 'always' | undefined;
  /** virtiofs: the program that libvirt starts for it. Undefined: the virtiofsd that libvirt finds. */
  readonly program?: string | undefined;
  /** virtiofs: where a server listens that libvirt does not start. */
  readonly socket?: string | undefined;
}

/** The `filesystem` element, without its address. */
export function shareElement(share: Share): Element {
  const { tag, directory, readOnly, transport, program, cache = 'auto', socket } = share;
  // Whoever started the server has told it the directory, what to keep, and whether it may be written to.
  if (socket !== undefined)
    return {
      '@type': 'mount',
      driver: { '@type': 'virtiofs' },
      source: { '@socket': socket },
      target: { '@dir': tag },
    };
  const common = {
    '@type': 'mount',
    source: { '@dir': directory },
    target: { '@dir': tag },
    readonly: readOnly ? EMPTY : undefined,
  };
  if (transport === '9p') {
    // Mounts below the directory have inode numbers of their own, which would collide.
    return { ...common, '@accessmode': 'squash', '@multidevs': 'remap', '@model': MODERN };
  }
  return {
    ...common,
    '@accessmode': 'passthrough',
    driver: { '@type': 'virtiofs' },
    // The default, a namespace, does not work if this host is a container.
    binary: {
      '@path': program,
      cache: cache === 'auto' ? undefined : { '@mode': cache === 'never' ? 'none' : cache },
      sandbox: { '@mode': 'chroot' },
    },
  };
}

/**
 * The `memoryBacking` element: shared memory if virtiofsd serves a share, since it works on the guest's memory, and huge
 * pages. Undefined if it is ordinary memory.
 * @param memory `own`: QEMU's arguments define the memory. libvirt's is not used, so it is a file that nothing is
 *   written to. `hugePages`: their size in bytes
 */
export function memoryBacking(
  shares: readonly Share[],
  { own = false, hugePages }: { readonly own?: boolean | undefined; readonly hugePages?: number | undefined } = {},
): Element | undefined {
  const isShared = shares.some(isVirtiofs);
  if (!isShared && hugePages === undefined) return undefined;
  return {
    hugepages: hugePages === undefined ? undefined : { page: { '@size': hugePages / 1024, '@unit': 'KiB' } },
    // With huge pages it spares a mount of hugetlbfs, and the rights that QEMU's user needs there.
    source: own ? undefined : { '@type': 'memfd' },
    access: isShared ? { '@mode': 'shared' } : undefined,
  };
}

export function isVirtiofs({ transport }: Pick<Share, 'transport'>): boolean {
  return transport === 'virtiofs';
}
