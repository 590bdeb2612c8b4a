/** Programs of a few instructions, which need nothing of the root that they are in. */

/** A static 64-bit program of x86-64 with this code. */
export function elfOf(code: readonly number[]): Buffer {
  const headers = 64 + 56;
  const elf = Buffer.alloc(headers + code.length);
  const start = 0x400000;
  elf.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]); // a 64-bit program
  elf.writeUInt16LE(2, 16);
  elf.writeUInt16LE(62, 18);
  elf.writeUInt32LE(1, 20);
  elf.writeBigUInt64LE(BigInt(start + headers), 24);
  elf.writeBigUInt64LE(64n, 32);
  elf.writeUInt16LE(64, 52);
  elf.writeUInt16LE(56, 54);
  elf.writeUInt16LE(1, 56);
  elf.writeUInt32LE(1, 64);
  elf.writeUInt32LE(5, 68); // readable and executable
  elf.writeBigUInt64LE(BigInt(start), 80);
  elf.writeBigUInt64LE(BigInt(elf.length), 96);
  elf.writeBigUInt64LE(BigInt(elf.length), 104);
  elf.set(code, headers);
  return elf;
}

/**
 * Becomes user 0 and group 0 as far as it may, and then busybox with its arguments: `NAME sh -c SCRIPT`. Busybox itself
 * gives up what a set-user-ID bit gives.
 */
export function suProgram(): Buffer {
  const path = Buffer.from('/bin/busybox\0');
  const tail = [
    ...[0x48, 0x8d, 0x74, 0x24, 16], // lea rsi, [rsp + 16]: the arguments but the first
    ...[0x31, 0xd2], // xor edx, edx
    ...[0x6a, 59, 0x58], // push 59; pop rax (execve)
    ...[0x48, 0x8d, 0x3d, 9, 0, 0, 0], // lea rdi, [rip + 9]: the path
    ...[0x0f, 0x05], // syscall
    ...[0x6a, 60, 0x58], // push 60; pop rax (exit)
    ...[0x89, 0xc7], // mov edi, eax
    ...[0x0f, 0x05], // syscall
  ];
  return elfOf([
    ...[0x31, 0xff, 0x6a, 106, 0x58, 0x0f, 0x05], // setgid(0)
    ...[0x31, 0xff, 0x6a, 105, 0x58, 0x0f, 0x05], // setuid(0)
    ...tail,
    ...path,
  ]);
}
