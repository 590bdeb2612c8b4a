/**
 * The default URI in libvirt's own settings: LIBVIRT_DEFAULT_URI, else `uri_default` in libvirt.conf.
 * https://libvirt.org/uri.html#default-uri-choice
 */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isSystemError, messageOf, SandboxError } from '../util/errors.js';
import { baseDirectory } from '../util/home.js';
import { shortOption } from '../util/option-names.js';

/** A URI and the setting that named it. */
export interface DefaultUri {
  readonly uri: string;
  /** `LIBVIRT_DEFAULT_URI`, or `uri_default in FILE`. */
  readonly origin: string;
}

export const DEFAULT_URI_VARIABLE = 'LIBVIRT_DEFAULT_URI';
const KEY = 'uri_default';

/**
 * Reads the default URI; undefined if none is set. As for libvirt, an empty value counts as not set.
 *
 * @throws {SandboxError} `libvirt-conf-invalid`, `libvirt-conf-unreadable`
 */
export function defaultUri(environment = process.env, uid = process.geteuid?.()): DefaultUri | undefined {
  const uri = environment[DEFAULT_URI_VARIABLE];
  if (uri) return { uri, origin: DEFAULT_URI_VARIABLE };
  // The paths that libvirt uses.
  const file = join(uid === 0 ? '/etc' : baseDirectory('XDG_CONFIG_HOME', environment), 'libvirt', 'libvirt.conf');
  const text = readConf(file);
  const named = text && uriIn(text, file);
  return named ? { uri: named, origin: `${KEY} in ${file}` } : undefined;
}

function readConf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    if (isSystemError(error, 'ENOENT') || isSystemError(error, 'ENOTDIR')) return undefined;
    throw new SandboxError({
      stage: 'libvirt',
      code: 'libvirt-conf-unreadable',
      message: `${file}, which may name the default URI, cannot be read: ${messageOf(error)}`,
      remedy: `make it readable, or name a URI with ${shortOption('connect')} or ${DEFAULT_URI_VARIABLE}`,
      cause: error,
    });
  }
}

/**
 * Parses `uri_default` as libvirt does: a string in single or double quotes, without escapes. The first line counts.
 */
function uriIn(text: string, file: string): string | undefined {
  const lines = text.split('\n');
  const number = lines.findIndex((line) => /^\s*uri_default\s*=/.test(line));
  if (number < 0) return undefined;
  const value = (lines[number] ?? '').replace(/^[^=]*=/, '');
  const [, double, single] = /^\s*(?:"([^"]*)"|'([^']*)')\s*(?:#.*)?$/.exec(value) ?? [];
  const uri = double ?? single;
  if (uri !== undefined) return uri;
  throw new SandboxError({
    stage: 'libvirt',
    code: 'libvirt-conf-invalid',
    message: `line ${number + 1} of ${file} has ${KEY} without a string in quotation marks`,
    remedy: `write ${KEY} = "qemu:///system", or name a URI with ${shortOption('connect')}`,
  });
}
