/** Disk images in --mount host-image and --disk: `PATH[,format=F][,ro]`. */
import { argumentError, quote } from '../errors.js';

/** The formats that libvirt-sandbox knows, by libvirt's names. */
const FORMATS: ReadonlySet<string> = new Set(
  'raw dir bochs cloop cow dmg iso qcow qcow2 qed vmdk vpc fat vhd vdi'.split(' '),
);

/** Formats whose name is no driver of QEMU, with the driver that reads them. */
const DRIVERS: ReadonlyMap<string, string> = new Map([
  ['vhd', 'vpc'],
  // Files with a file system in them.
  ...['dir', 'fat', 'iso'].map((name) => [name, 'raw'] as const),
]);

/** QEMU's driver for a format. */
export function driverOf(format: string): string {
  return DRIVERS.get(format) ?? format;
}

/**
 * The format of an image by its extension; raw if that is no format. The contents are not read: a guest that can write
 * a raw image could make it look like another format, which names further files of the host.
 */
export function guessFormat(path: string): string {
  const extension = /\.([A-Za-z0-9]+)$/.exec(path)?.[1]?.toLowerCase() ?? '';
  return FORMATS.has(extension) ? extension : 'raw';
}

/** A source and its options. */
export interface SourceWithOptions {
  readonly source: string;
  readonly format: string | undefined;
  readonly readOnly: boolean;
}

/** The options that may follow a source. */
export interface AllowedOptions {
  readonly format?: boolean;
  readonly readOnly?: boolean;
}

/**
 * Cuts the options off the end of a source. A path may have commas, so only what is an option is cut. `,rw` is the
 * default; a path that itself ends in `,ro` needs it.
 * @param text `PATH[,format=F][,ro|,rw]`, options in any order
 * @param what the mount or disk, for messages
 * @param code prefix of the error codes: `mount`, `disk`
 * @throws SandboxError `CODE-format-unknown`; `CODE-option-unknown` for a last part that looks like an option,
 *   `,word=…`
 */
export function cutOptions(text: string, what: string, code: string, allowed: AllowedOptions): SourceWithOptions {
  let source = text;
  let format: string | undefined;
  let readOnly: boolean | undefined;
  for (;;) {
    const comma = source.lastIndexOf(',');
    if (comma < 0) break;
    const option = source.slice(comma + 1);
    if (allowed.readOnly === true && readOnly === undefined && (option === 'ro' || option === 'rw')) {
      readOnly = option === 'ro';
    } else if (allowed.format === true && format === undefined && option.startsWith('format=')) {
      format = checkFormat(option.slice('format='.length), what, code);
    } else {
      refuseLookalike(option, what, code, allowed);
      break;
    }
    source = source.slice(0, comma);
  }
  return { source, format, readOnly: readOnly ?? false };
}

function checkFormat(format: string, what: string, code: string): string {
  if (FORMATS.has(format)) return format;
  throw argumentError(
    `${code}-format-unknown`,
    `${what} has the unknown format ${quote(format)}`,
    `name one of ${[...FORMATS].join(', ')}`,
  );
}

function refuseLookalike(option: string, what: string, code: string, allowed: AllowedOptions): void {
  if (!/^[a-z_]+=[^/]*$/.test(option)) return;
  const known = [...(allowed.format === true ? [',format=FORMAT'] : []), ...(allowed.readOnly === true ? [',ro'] : [])];
  throw argumentError(
    `${code}-option-unknown`,
    `${what} has the unknown option ${quote(option)}`,
    `after the source only ${known.join(' and ')} can follow, once`,
  );
}
