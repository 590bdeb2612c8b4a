/**
 * The XML of a container.
 *
 * https://libvirt.org/drvlxc.html, https://libvirt.org/formatdomain.html#container-boot
 */
import type { TuningElements } from './tuning.js';
import { type Element, EMPTY, toXml } from './xml.js';

/** Where a container has this package's native programs until its init switches to the root. */
export const CONTAINER_NATIVE = '/native';

/** A directory of the host. libvirt binds it into the container before the init runs. */
export interface Bind {
  readonly directory: string;
  /** Absolute path in the container. libvirt creates it. */
  readonly target: string;
  readonly readOnly: boolean;
}

export interface ContainerOptions {
  readonly name: string;
  readonly uuid: string | undefined;
  /** Memory limit, in bytes. */
  readonly memory: number;
  /** The root until the init switches to another. libvirt creates missing mount points in it. */
  readonly root: string;
  readonly binds: readonly Bind[];
  /** Path of the init in the container, and its arguments. */
  readonly init: readonly [string, ...string[]];
  /** `filesystem` elements beside the binds. */
  readonly filesystems?: readonly Element[];
  /** `disk` elements. */
  readonly disks?: readonly Element[];
  /** `interface` elements. */
  readonly interfaces?: readonly Element[];
  /** `seclabel` elements. */
  readonly securityLabels?: readonly Element[];
  readonly tuned?: TuningElements | undefined;
  /** The host's CPUs that it may run on, in libvirt's syntax; undefined: all. */
  readonly cpuset?: string | undefined;
  /** How many pseudo-terminals it has: /dev/tty1 and so on. */
  readonly consoles: number;
}

/** The domain, ready for virDomainCreateXML. */
export function containerXml(options: ContainerOptions): string {
  const [init, ...initArguments] = options.init;
  return toXml({
    domain: {
      '@type': 'lxc',
      name: options.name,
      uuid: options.uuid,
      memory: { '@unit': 'KiB', '#': Math.ceil(options.memory / 1024) },
      // libvirt requires the element, but gives a container every CPU.
      vcpu: { '@cpuset': options.cpuset, '#': 1 },
      ...options.tuned,
      os: {
        type: { '@arch': 'x86_64', '#': 'exe' },
        init,
        initarg: initArguments.map((argument) => ({ '#': argument })),
      },
      // A network namespace of its own, even with no interface but lo.
      features: { privnet: EMPTY },
      on_poweroff: 'destroy',
      on_reboot: 'destroy',
      on_crash: 'destroy',
      devices: {
        filesystem: [
          filesystem({ directory: options.root, target: '/', readOnly: false }),
          ...options.binds.map(filesystem),
          ...(options.filesystems ?? []),
        ],
        disk: options.disks,
        interface: options.interfaces,
        console: Array.from({ length: options.consoles }, (_, port) => ({
          '@type': 'pty',
          target: { '@type': 'lxc', '@port': port },
        })),
      },
      seclabel: options.securityLabels,
    },
  });
}

function filesystem({ directory, target, readOnly }: Bind): Element {
  return {
    '@type': 'mount',
    '@accessmode': 'passthrough',
    source: { '@dir': directory },
    target: { '@dir': target },
    readonly: readOnly ? EMPTY : undefined,
  };
}
