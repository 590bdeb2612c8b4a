/**
 * Makes the file to boot from a kernel file. If QEMU can boot the ELF kernel inside a bzImage, that is unpacked here,
 * so that the guest need not unpack it (20 to 25 % of a cold boot without hardware virtualization). Otherwise the
 * bzImage is booted.
 */

import { type FileFormat, fileFormatOf, unpack } from '../compression/formats.js';
import { UNPACKED_LIMIT } from '../compression/types.js';
import { messageOf, SandboxError } from '../util/errors.js';
import { elfMachineOf, hasPvhEntry, isElf, MACHINE_X86_64, segmentsEnd, segmentsOf } from './elf.js';
import type { KernelFile } from './identify.js';
import { type SparseFile, slimKernel } from './slim.js';

/** Fewer bytes are no kernel in any format. */
const MIN_PAYLOAD = 64;

/** The file to boot. */
export interface BootFile {
  /** Name in the image: `vmlinux` for an ELF file, `kernel` for a bzImage. */
  readonly name: 'vmlinux' | 'kernel';
  readonly content: SparseFile;
  /** Why it is an ELF file or a bzImage, as part of a sentence. */
  readonly reason: string;
}

function damaged(file: KernelFile, detail: string, cause?: unknown): SandboxError {
  return new SandboxError({
    stage: 'kernel',
    code: 'kernel-damaged',
    message: `kernel ${file.path} is damaged: ${detail}`,
    remedy: 'install its package again, or copy the file again',
    cause,
  });
}

const whole = (data: Buffer): SparseFile => ({ size: data.length, chunks: [{ position: 0, data }] });

/**
 * Makes the boot file of a kernel.
 *
 * @param file Result of {@link identifyKernel}.
 * @param data The file's first `file.size` bytes.
 * @param form `packed`: do not unpack a bzImage.
 * @throws {SandboxError} `kernel-damaged`; `kernel-not-bootable`: an ELF kernel without a PVH entry
 */
export async function unpackKernel(
  file: KernelFile,
  data: Buffer,
  form: 'unpacked' | 'packed' = 'unpacked',
): Promise<BootFile> {
  if (file.format === 'elf') {
    const content = slimBootable(file, data);
    if (content !== undefined) return { name: 'vmlinux', content, reason: 'it is an ELF kernel with a PVH entry' };
    throw new SandboxError({
      stage: 'kernel',
      code: 'kernel-not-bootable',
      message: `kernel ${file.path} is an ELF file without a PVH entry (CONFIG_PVH), which QEMU cannot boot`,
      remedy: 'name the bzImage of the same kernel with --kernpath',
    });
  }
  const packed = (reason: string): BootFile => ({ name: 'kernel', content: whole(data), reason });
  if (form === 'packed') return packed('the profile asks for the bzImage');
  if (file.payload === undefined) return packed('its header is too old to say where the kernel inside is');
  const { offset, length } = file.payload;
  const payload = data.subarray(offset, offset + length);
  if (payload.length < MIN_PAYLOAD) throw damaged(file, `the kernel inside has ${payload.length} bytes`);
  const compression = isElf(payload) ? 'none' : fileFormatOf(payload);
  if (compression === undefined) return packed('the compression of the kernel inside is not known');
  let elf: Buffer;
  try {
    elf = await unpackPayload(file, payload, compression);
  } catch (error) {
    // The guest can unpack it by itself, only slower.
    if (error instanceof SandboxError && error.code === 'zstd-missing') return packed(error.message);
    throw error;
  }
  const content = slimBootable(file, elf);
  return content === undefined
    ? packed('the kernel inside has no PVH entry')
    : { name: 'vmlinux', content, reason: `the kernel inside (${compression}) has a PVH entry` };
}

async function unpackPayload(file: KernelFile, payload: Buffer, compression: 'none' | FileFormat): Promise<Buffer> {
  // The kernel's build appends the unpacked size in four bytes. gzip itself ends with it.
  const size = payload.readUInt32LE(payload.length - 4);
  if (size > UNPACKED_LIMIT) throw damaged(file, `the kernel inside claims to have ${size} bytes`);
  if (compression === 'none') return payload;
  const hasOwnSize = compression === 'gzip';
  try {
    const elf = await unpack(hasOwnSize ? payload : payload.subarray(0, -4), compression, size);
    if (!hasOwnSize && elf.length !== size) throw new Error(`it unpacks to ${elf.length} bytes and not ${size}`);
    return elf;
  } catch (error) {
    if (error instanceof SandboxError) throw error;
    throw damaged(file, `its ${compression} payload cannot be unpacked (${messageOf(error)})`, error);
  }
}

/** The shrunk form of an ELF kernel; undefined if QEMU cannot boot it. */
function slimBootable(file: KernelFile, elf: Buffer): SparseFile | undefined {
  if (elfMachineOf(elf)?.machine !== MACHINE_X86_64) return undefined;
  try {
    const segments = segmentsOf(elf);
    if (segmentsEnd(segments) > elf.length) throw new Error('a segment of the kernel inside ends after the file');
    return hasPvhEntry(elf, segments) ? slimKernel(elf, segments) : undefined;
  } catch (error) {
    throw damaged(file, messageOf(error), error);
  }
}
