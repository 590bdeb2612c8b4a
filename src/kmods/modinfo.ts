/** Reads the strings `name=value` in a module's section .modinfo, which modinfo(8) shows. */

/** Versions of a module. A field is undefined if the module lacks it. */
export interface ModuleVersions {
  /** Set by its authors. */
  readonly version: string | undefined;
  /** Hash of its source files. */
  readonly srcversion: string | undefined;
  /** Release and options of the kernel it was built for. */
  readonly vermagic: string | undefined;
}

/** Reads the versions of an unpacked module. */
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
