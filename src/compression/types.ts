/** What a row of the table of formats holds. */

/** Most bytes that a kernel, a module or an initrd may unpack to. Data that claim more are damaged. */
export const UNPACKED_LIMIT = 1 << 30;

/** What a compressed part unpacked to. */
export interface UnpackedPart {
  readonly data: Buffer;
  /** How many bytes the part had. */
  readonly used: number;
}

/** A compressed format. */
export interface Format {
  /** First bytes. */
  readonly magic: readonly number[];
  /** Ending that a file in this format has: `9p.ko.zst`. */
  readonly ending: string;
  /** The kernel's build option for an initrd in this format: usr/Kconfig. */
  readonly initrdOption: string;
  /**
   * Unpacks a whole file; nothing may follow. Undefined for formats in which this program reads neither kernels nor
   * modules.
   *
   * @param size Unpacked size in bytes, if known. Required for lz4.
   * @param limit Most bytes that may come out.
   * @throws {Error} when the data are damaged or cut off.
   * @throws {SandboxError} `zstd-missing`: no zstd decoder on this host.
   */
  readonly unpack?: (data: Buffer, size: number | undefined, limit: number) => Promise<Buffer>;
  /**
   * Unpacks the part that `data` begins with; anything may follow.
   *
   * @param limit Most bytes that may come out.
   * @throws {Error} when the data are damaged or cut off.
   * @throws {SandboxError} `zstd-missing`, `decompressor-missing`: a library is not installed.
   */
  readonly unpackPart: (data: Buffer, limit: number) => Promise<UnpackedPart>;
  /**
   * Packs an initrd so that the kernel can unpack it. The same data and library version give the same bytes: no time,
   * user or machine goes in. Undefined for formats in which this program packs nothing.
   *
   * @throws {SandboxError} `compressor-missing`: a library is not installed.
   */
  readonly pack?: (data: Buffer) => Promise<Buffer>;
}
