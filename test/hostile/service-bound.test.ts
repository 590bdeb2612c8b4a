/**
 * Promise: what a service in a container writes stays below the bound of its state, and reaches the file system that keeps
 * it as files alone. The attackers are root inside, root inside with --privileged, and another container beside it. They
 * know where the file and its loop device are. The victims are the host's disk and the host's kernel, which mounts it.
 */
import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { boundedService, SIZE } from '../helpers/bounded.js';
import { besideLxc, lxc } from '../helpers/connections.js';
import { unlessProgram } from '../helpers/images.js';
import { ask } from '../helpers/inside.js';

const skip = lxc.skip || unlessProgram('python3', 'blkid');

/** Tries all that leads to the device, or to another mount of it. @returns a line for what it has come to */
const attack = (device: string, directory: string) => `
number=$(cat /sys/block/${device}/dev | tr : ' ')
mknod /srv/device b $number && echo made
mknod /dev/.device b $number && echo made
for path in /srv/device /dev/.device /dev/${device}; do
  head -c 2048 $path && echo read; mount -t ext4 $path /mnt && echo mounted
done
losetup --detach /dev/${device} && echo detached
mount -o remount,suid,dev,exec / && echo remounted
mount -o remount,ro ${directory}/layers && echo remounted
ls -A ${directory}/layers | grep -vx lock && echo listed
grep -e layers.ext4 -e ${device} /proc/self/mountinfo && echo has
for file in /sys/block/${device}/size /sys/block/${device}/loop/backing_file /sys/fs/ext4/${device}/trigger_fs_error; do
  echo 1 > $file && echo written
done
echo end`;

/** Superblocks of md(4) and LVM where the file system may have its last blocks, and in every block before. */
const SIGNATURES = `import os, struct
md = struct.pack("<IIII16sQ32sQIIQIII", 0xa92b4efc, 1, 0, 0, b"u" * 16, 0, b"host:0".ljust(32, b"\\0"), 0, 1, 0, 8, 0, 2, 0)
lvm = b"LABELONE" + struct.pack("<Q", 1) + b"\\0" * 8 + b"LVM2 001"
block = md.ljust(512, b"\\0") + lvm.ljust(512, b"\\0") + b"SKUL\\xba\\xbe".ljust(3072, b"\\0")
with open("/srv/much", "wb", buffering=0) as file:
  try:
    while True: file.write(block * 256)
  except OSError as error: print(error.strerror)
os.sync()`;

/**
 * Second headers of LUKS2, made of the bits of bitmaps of blocks: what has all blocks lets those go whose bits are to be
 * zero. Without reserved blocks the file system of 1 GB has the bitmap of its seventh group where libblkid looks for one.
 */
const HEADERS = `import ctypes, fcntl, os, struct
def header(offset):
  text = bytearray(512)
  text[:8] = b"SKUL\\xba\\xbe" + struct.pack(">H", 2)
  text[168:204] = b"11111111-2222-3333-4444-555555555555"
  text[256:264] = struct.pack(">Q", offset)
  return text
block, group = 4096, 32768
file = os.open("/srv/much", os.O_RDWR | os.O_CREAT)
libc = ctypes.CDLL(None, use_errno=True)
size, step = 0, 1 << 26
while step >= block:
  if libc.fallocate64(file, 0, ctypes.c_long(size), ctypes.c_long(step)) == 0: size += step
  else: step //= 2
os.fsync(file)
owned, at = {}, 0
while at < size:
  asked = bytearray(struct.pack("<QQIIII", at, size - at, 0, 0, 500, 0) + bytes(500 * 56))
  fcntl.ioctl(file, 0xc020660b, asked)
  found = [struct.unpack_from("<QQQ", asked, 32 + 56 * n) for n in range(struct.unpack_from("<I", asked, 20)[0])]
  if not found: break
  for logical, physical, length in found:
    for n in range(0, length, block): owned[(physical + n) // block] = logical + n
    at = logical + length
made = 0
for number in range(8):
  bits = header((2 + number) * block)
  for n in range(len(bits) * 8):
    if bits[n // 8] >> n % 8 & 1: continue
    logical = owned.get(number * group + n)
    if logical is None: continue
    libc.fallocate64(file, 3, ctypes.c_long(logical), ctypes.c_long(block))
    made += 1
os.sync()
print("made" if made > 4096 else made)`;

describe('the bound of a service', { skip }, () => {
  for (const options of [[], ['--privileged']] as const)
    it(`has no device that ${['root inside', ...options].join(' with ')} could open`, async (t) => {
      const { service, state } = await boundedService(t, options);
      await service.run(['start']);
      const [device = ''] = state.loops().map((path) => path.slice('/dev/'.length));
      assert.match(device, /^loop\d+$/);
      const tried = await service.run(
        ['execute'],
        ['--', 'sh', '-c', `exec 2>/dev/null; ${attack(device, state.directory)}`],
      );
      assert.equal(tried.out, 'end\n');
      assert.match(besideLxc('cat', '/proc/self/mounts'), / ext4 rw,nosuid,nodev,noexec,[^ ]*nosymfollow/);
      await service.run(['restart']);
      assert.equal(await service.inside('wc -l < /srv/starts'), '2\n');
    });

  it('is seen by no other container, not by root of one with -p either', async (t) => {
    const { service, state } = await boundedService(t);
    await service.ok(['start']);
    await service.inside('echo secret > /srv/secret');
    const [path = ''] = state.loops();
    for (const options of [[], ['-p']]) {
      const facts = { tried: `exec 2>/dev/null; ${attack(path.slice('/dev/'.length), state.directory)}` };
      const told = { ...lxc.options, stderr: /^([^\n]* warning: a privileged container is no barrier[^\n]*\n)?$/ };
      const { tried } = await ask(['-c', lxc.uri, ...options, '--overlay'], facts, told);
      assert.equal(tried, 'end');
    }
    assert.equal(await service.inside('cat /srv/secret'), 'secret\n');
  });

  it('holds on the host, which takes it for ext4 whatever is in it', async (t) => {
    const { service, state } = await boundedService(t);
    await service.ok(['start']);
    assert.equal(await service.ok(['execute'], ['--', 'python3', '-c', SIGNATURES]), 'No space left on device\n');
    assert.ok(state.taken() > SIZE / 2 && state.taken() <= SIZE, String(state.taken()));
    const [device = ''] = state.loops();
    for (const path of [device, state.file])
      assert.equal(besideLxc('blkid', '--probe', '--match-tag', 'TYPE', '--output', 'value', path), 'ext4\n');
    await service.ok(['restart']);
    assert.equal(await service.inside('wc -l < /srv/starts'), '2\n');
  });

  it('holds on the host, which takes none of its bitmaps for a header', async (t) => {
    const { service, state } = await boundedService(t, [], { size: '1000' });
    await service.ok(['start']);
    assert.equal(await service.ok(['execute'], ['--', 'python3', '-c', HEADERS]), 'made\n');
    await service.ok(['stop']);
    await state.assertUnused();
    assert.equal(besideLxc('blkid', '--probe', '--match-tag', 'TYPE', '--output', 'value', state.file), 'ext4\n');
  });
});
