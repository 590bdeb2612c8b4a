/** virt-sandbox-bake(1). The tables of its commands are in src/cli. */
import { bakeCommands } from '../../src/cli/bake/options.js';
import { INITRD_COMPRESSIONS } from '../../src/image/manifest.js';
import type { Program } from '../program-description.js';

export const virtSandboxBake: Program = {
  name: 'virt-sandbox-bake',
  summary: 'make, keep and inspect boot images',
  usage: '*COMMAND* [*OPTIONS*]',
  description: [
    'Makes, keeps and inspects the boot images that virt-sandbox(1) boots machines from. virt-sandbox makes an image whenever it needs one. Use virt-sandbox-bake to make an image ahead, to save a snapshot with it, to ship it, or to see what is in it.',
    'An *image* is given by its name, by its id or the beginning of that, or by a directory with a slash in its path. `ls`, `cat`, `unpack` and `diff` also take any initrd by its path. A *reference* is the name of an image in a registry, as [*HOST*[`:`*PORT*]`/`]*NAME*[`:`*TAG*]; `pull` also takes *NAME*`@`*DIGEST*.',
  ],
  options: {},
  commands: bakeCommands,
  details: {
    kernver: { value: 'VERSION', complete: 'kernel' },
    kernpath: { value: 'FILE', complete: 'file' },
    kmodpath: { value: 'DIR', complete: 'directory' },
    name: { value: 'NAME' },
    output: { value: 'DIR', complete: 'directory' },
    with: { value: 'NEED,...', complete: { list: ['network', 'block', 'overlay'] } },
    for: { value: 'OPTIONS' },
    slots: {
      value: 'KIND=COUNT,...',
      complete: { list: ['mounts=', 'disks=', 'networks='] },
      text: [
        'With `--warm`: how many devices of each kind a sandbox may have if it starts from the snapshot. The default is `mounts=4`, or none where the kernel has no 9p, and as many disks and networks as the sandbox of `--for` has. A kind without a count keeps its default. All slots together are at most 27. Shares that virtiofs serves, as it does for root, need no slot, nor does a root that it serves. A start with any of these can be warm only for root with CAP_SYS_PTRACE, and for an ordinary user whose root it serves with `qemu:///session` or `qemu:///embed`; every other such start is cold.',
        {
          terms: [
            ['`mounts`', 'Shares: directories of the host.'],
            [
              '`disks`',
              'Disks and mounted disk images. A slot for a disk adds ext4 to the image; `--with filesystem-xfs` adds XFS, and so on.',
            ],
            ['`networks`', 'Network interfaces.'],
          ],
        },
      ],
    },
    connect: { value: 'URI', complete: { words: ['qemu:///system', 'qemu:///session', 'qemu:///embed'] } },
    profile: { value: 'PROFILE', complete: { words: ['compatible', 'default', 'fast'] } },
    compress: { value: 'KIND', complete: { words: INITRD_COMPRESSIONS } },
    'older-than': { value: 'AGE' },
    'common-init': { value: 'WHERE', complete: { words: ['host', 'guest'] } },
    node: { value: 'FILE', complete: 'file' },
    root: { value: 'IMAGE' },
    prepare: {
      value: 'COMMAND',
      text: [
        'With `--warm` and `--name`: a command for `sh -c` that runs in the machine, whose root is that of `--root`, before it is saved. The machine is saved when it has ended with status 0. A sandbox with `--image` *NAME* and the same root goes on from there.',
      ],
    },
    ready: {
      value: 'file:PATH|line:TEXT',
      text: [
        'With `--prepare`: the machine is saved when the file *PATH* is there inside, or when the command has written the line *TEXT*, and the command runs on in each sandbox.',
      ],
    },
    notify: { value: 'SIGNAL' },
    'prepare-timeout': { value: 'TIME' },
    'sign-key': {
      value: 'KEY',
      complete: 'file',
      text: [
        'With `--sign`: the private key, a file or what else cosign takes for its `--key`. cosign has the password of a file from COSIGN_PASSWORD, or asks for it. Without a key, cosign asks who you are, and writes the signature to a public log.',
      ],
    },
    authfile: { value: 'FILE', complete: 'file' },
    'tls-verify': { value: 'true|false', complete: { words: ['true', 'false'] } },
  },
  runs: 'nothing',
  argument: 'directory',
  sections: [
    {
      title: 'Exit status',
      body: [
        {
          terms: [
            ['`0`', 'Success.'],
            ['`1`', '`verify` found damage, or `diff` found a difference.'],
            ['`125`', 'A failure. One line on standard error says what happened and what to do.'],
            [
              '`130`, `143`',
              'SIGINT or SIGTERM interrupted `create`, `push` or `pull`. Nothing half-made is left; what a pull has whole stays.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Environment',
      body: [
        {
          terms: [
            ['LIBVIRT_DEFAULT_URI', 'The default for `--connect`.'],
            ['VIRT_SANDBOX_PROFILE', 'The default for `--profile`.'],
            ['REGISTRY_AUTH_FILE', 'The default for `--authfile`.'],
            ['HTTPS_PROXY, HTTP_PROXY, NO_PROXY', 'How a registry is reached.'],
            [
              'XDG_CACHE_HOME, XDG_CONFIG_HOME',
              'The directories of the store and of profiles, instead of those below.',
            ],
          ],
        },
      ],
    },
    {
      title: 'Files',
      body: [
        {
          terms: [
            [
              '`/var/cache/virt-sandbox/images`, `~/.cache/virt-sandbox/images`',
              'The store of images: of root, of another user.',
            ],
            ['`~/.config/libvirt-sandbox/profiles/`*PROFILE*`.json`', 'Your own profiles.'],
          ],
        },
      ],
    },
    {
      title: 'Examples',
      body: [
        'A packed image with a name, and a sandbox that boots from it:',
        { block: 'virt-sandbox-bake create --name small --compress zstd\nvirt-sandbox --image small -- uname -r' },
        'A snapshot for sandboxes with two disks and a network, and a warm start from it:',
        {
          block:
            'virt-sandbox-bake create --warm --slots mounts=4,disks=2,networks=1\nvirt-sandbox --boot warm -N dhcp --disk file:a=a.img -- ls /dev/disk/by-tag',
        },
        'An image with all that a certain sandbox needs:',
        { block: "virt-sandbox-bake create --for '--disk file:data=data.img -N dhcp'" },
        'An image with its snapshots, for another host:',
        {
          block:
            'virt-sandbox-bake create --warm --name web\nvirt-sandbox-bake push web registry.example/boot/web:1\nvirt-sandbox-bake pull registry.example/boot/web:1 --name web',
        },
        'The contents of another initrd:',
        { block: 'virt-sandbox-bake ls /boot/initrd.img-$(uname -r)' },
      ],
    },
    { title: 'See also', body: ['virt-sandbox(1), virt-sandbox-bench(1)'] },
  ],
};
