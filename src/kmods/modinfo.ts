/** What a module says of itself: the strings `name=value` in its section .modinfo, as modinfo(8) shows them. */

/** Versions of a module; a field that it does not have is undefined. */
export interface ModuleVersions {
  /** What its authors call it. */
  readonly version: string | undefined;
  /** Hash of its sources. */
  readonly srcversion: string | undefined;
  /** The kernel that it is for. */
  readonly vermagic: string | undefined;
}

/** Reads the versions of a module that is not packed. */
export function moduleVersions(data: Buffer): ModuleVersions {
  return {
    version: field(data, 'version'),
    srcversion: field(data, 'srcversion'),
    vermagic: field(data, 'vermagic')?.trimEnd(),
  };
}

function field(data: Buffer, name: string): string | undefined {
  const mark = `\0${name}=`;
  const at = data.indexOf(mark, 0, 'latin1');
  if (at < 0) return undefined;
  const start = at + mark.length;
  const end = data.indexOf(0, start);
  return data.toString('latin1', start, end < 0 ? start + 256 : end);
}
