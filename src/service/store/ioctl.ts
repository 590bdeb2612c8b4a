/** ioctl(2), which Node.js lacks. */
import { getSystemErrorName } from 'node:util';

/**
 * @param argument what is read and written, or a number
 * @returns what the call returns
 * @throws the error of a system call, with its code
 */
export async function ioctl(fd: number, request: number, argument: Buffer | number): Promise<number> {
  const { default: koffi } = await import('koffi');
  const kind = typeof argument === 'number' ? 'unsigned long argument' : '_Inout_ void *argument';
  const call = koffi.load('libc.so.6').func(`int ioctl(int fd, unsigned long request, ${kind})`);
  const done: number = call(fd, request, argument);
  const errno = done < 0 ? koffi.errno() : 0;
  if (errno === 0) return done;
  const code = getSystemErrorName(-errno);
  const text = `${code}: ioctl 0x${request.toString(16)}`;
  throw Object.assign(new Error(text), { code, errno: -errno, syscall: 'ioctl' });
}
