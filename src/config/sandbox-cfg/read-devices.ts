/** The mounts, disks, networks and variables of sandbox.cfg. */
import { configError, quote } from '../errors.js';
import { isCoveredBy, pathFromBelow } from '../include-mount.js';
import { checkMac } from '../parsers/network.js';
import { readAddress, readRoute } from '../parsers/network-address.js';
import type { Disk, EnvironmentVariable, Mount, Network, NetworkFilter } from '../types.js';
import { MOUNT_CLASS } from './format.js';
import type { KeyFile } from './keyfile.js';
import { Section } from './section.js';

/** The mounts, in order. */
export function readMounts(file: KeyFile): readonly Mount[] {
  const sections = Section.numbered(file, 'mount');
  const isCovered = isCoveredBy(sections.map((section) => section.need('target')));
  return sections.map((section) => readMount(section, isCovered));
}

function readMount(section: Section, isCovered: (path: string) => boolean): Mount {
  const name = section.need('type');
  const target = section.need('target');
  const includes = Section.numbered(section.file, `${section.group}.include`).map((include) => ({
    target: pathFromBelow(target, include.need('dst'), isCovered),
    source: include.need('src'),
  }));
  const readOnly = section.flag('readonly', false);
  switch (name) {
    case MOUNT_CLASS['host-bind']:
      return { type: 'host-bind', target, source: section.need('source') || undefined, readOnly, includes };
    case MOUNT_CLASS['host-image']:
      return {
        type: 'host-image',
        target,
        source: section.need('source'),
        format: section.need('format'),
        readOnly,
        includes,
      };
    case MOUNT_CLASS['guest-bind']:
      return { type: 'guest-bind', target, source: section.need('source'), includes };
    case MOUNT_CLASS.ram:
      return { type: 'ram', target, usage: readUsage(section), includes };
    default:
      throw typeUnknown(section, name, Object.values(MOUNT_CLASS));
  }
}

/**
 * The size of a ram mount, in bytes. libvirt-sandbox keeps it as a signed 32-bit number and writes it as an unsigned
 * 64-bit one, so sizes from 2 GiB to below 4 GiB are written as numbers just below 2^64. They are read as what was
 * meant.
 */
function readUsage(section: Section): number {
  const text = section.need('usage').trimEnd();
  const bytes = /^[0-9]{20}$/.test(text) ? BigInt(text) - 2n ** 64n + 2n ** 32n : 0n;
  if (bytes >= 2n ** 31n && bytes < 2n ** 32n) return Number(bytes);
  return section.needWhole('usage', 1, Number.MAX_SAFE_INTEGER);
}

/** The variables, in order. */
export function readEnvironment(file: KeyFile): readonly EnvironmentVariable[] {
  return Section.numbered(file, 'env').map((section) => ({ key: section.need('key'), value: section.need('value') }));
}

/** The disks, in order. */
export function readDisks(file: KeyFile): readonly Disk[] {
  return Section.numbered(file, 'disk').map((section) => {
    const type = section.need('type');
    if (type !== 'file' && type !== 'block') throw typeUnknown(section, type, ['file', 'block']);
    return {
      type,
      tag: section.need('tag'),
      source: section.need('source'),
      format: section.need('format'),
      readOnly: section.flag('readonly', false),
    };
  });
}

function typeUnknown(section: Section, type: string, known: readonly string[]): Error {
  return configError(
    'config-type-unknown',
    `${section.where} has the unknown type ${quote(type)}`,
    `write one of ${known.join(', ')}`,
  );
}

/** The interfaces, in order. */
export function readNetworks(file: KeyFile): readonly Network[] {
  return Section.numbered(file, 'network').map(readNetwork);
}

function readNetwork(section: Section): Network {
  const addresses = Section.numbered(section.file, `${section.group}.address`).map((address) => {
    const broadcast = address.text('broadcast');
    return readAddress(
      withPrefix(address, 'primary') + (broadcast === undefined ? '' : `%${broadcast}`),
      address.where,
    );
  });
  const routes = Section.numbered(section.file, `${section.group}.route`).map((route) =>
    readRoute(`${withPrefix(route, 'target')}%${route.need('gateway')}`, route.where),
  );
  checkCount(section, 'addresses', addresses.length);
  checkCount(section, 'routes', routes.length);
  return {
    dhcp: section.flag('dhcp', true),
    source: section.text('source'),
    ...(section.flag('host-loopback', false) ? { hostLoopback: true } : {}),
    mac: checkMac(section.text('mac'), section.where),
    addresses,
    routes,
    filter: readFilter(section),
  };
}

/** An address in the syntax of `--network`, so that one parser reads both. */
function withPrefix(section: Section, key: string): string {
  const prefix = section.whole('prefix', 0, 128);
  return prefix === undefined ? section.need(key) : `${section.need(key)}/${prefix}`;
}

/** The interface says how many addresses and routes it has. Another number of groups means that some were lost. */
function checkCount(section: Section, key: string, actual: number): void {
  const expected = section.whole(key, 0, Number.MAX_SAFE_INTEGER);
  if (expected === undefined || expected === actual) return;
  throw configError(
    'config-count-wrong',
    `${section.where} says ${key}=${expected}, and the file has ${actual}`,
    `write ${key}=${actual} or the groups that are missing`,
  );
}

function readFilter(section: Section): NetworkFilter | undefined {
  const name = section.text('filter');
  if (name === undefined) return undefined;
  const group = new Section(section.file, `${section.group}.filter`);
  const parameters = section.file.keys(group.group).map((key) => [key, group.need(key)] as const);
  return { name, parameters: Object.fromEntries(parameters) };
}
