/** Files of libvirt-sandbox, for the tests of sandbox.cfg. */
import type { ConfigOptions } from '../../../../src/config/options.js';

/** A file with every key that libvirt-sandbox knows, in its order. */
export const COMPLETE = `[api]
class=GVirSandboxConfigInteractive
version=0.8.0

[core]
name=mill
root=/srv/roots/mill
arch=x86_64
kernrelease=6.1.0-9-amd64
kernpath=/srv/kernels/vmlinuz
kmodpath=/srv/kernels/modules
shell=true
debug=true
verbose=true

[identity]
uid=2001
gid=2001
username=ada
homedir=/home/ada

[mount.0]
type=GVirSandboxConfigMountHostBind
target=/data
source=/srv/data

[mount.0.include.0]
dst=/motd
src=/etc/motd

[mount.0.include.1]
dst=/etc
src=/etc

[mount.1]
type=GVirSandboxConfigMountHostBind
target=/scratch
source=

[mount.2]
type=GVirSandboxConfigMountHostImage
target=/image
format=qcow2
source=/srv/disk.qcow2

[mount.3]
type=GVirSandboxConfigMountGuestBind
target=/opt
source=/data/opt

[mount.4]
type=GVirSandboxConfigMountRam
target=/tmp
usage=2147483648

[env.0]
key=EMPTY
value=

[env.1]
key=GREETING
value=\\sgood\tday=\\\\o/\x20

[disk.0]
type=file
source=/srv/cache.qcow2
tag=cache
format=qcow2

[disk.1]
type=block
source=/dev/sdz
tag=whole
format=raw

[network.0.address.0]
primary=10.1.2.3
broadcast=10.1.255.255
prefix=16

[network.0.address.1]
primary=fd00::2
prefix=64

[network.0.route.0]
prefix=8
gateway=10.1.0.1
target=10.0.0.0

[network.0]
dhcp=false
source=lan
mac=52:54:00:0a:0b:0c
addresses=2
routes=1

[network.1]
dhcp=true
addresses=0
routes=0

[security]
label=user_u:role_r:type_t:s0:c1,c2
dynamic=false

[interactive]
tty=true

[command]
argv.0=/bin/sh
argv.1=-c
argv.2=echo "$GREETING";\\n\techo done
`;

/** The command line that gives COMPLETE. */
export const COMPLETE_OPTIONS: ConfigOptions = {
  name: 'mill',
  root: '/srv/roots/mill',
  kernver: '6.1.0-9-amd64',
  kernpath: '/srv/kernels/vmlinuz',
  kmodpath: '/srv/kernels/modules',
  shell: true,
  debug: true,
  verbose: true,
  switchto: 'ada',
  mount: [
    'host-bind:/data=/srv/data',
    'host-bind:/scratch=',
    'host-image:/image=/srv/disk.qcow2',
    'guest-bind:/opt=/data/opt',
    'ram:/tmp=2GiB',
  ],
  include: ['/data/motd=/etc/motd', '/data/etc=/etc'],
  env: ['GREETING= good\tday=\\o/ ', 'EMPTY='],
  disk: ['file:cache=/srv/cache.qcow2', 'block:whole=/dev/sdz'],
  network: [
    'source=lan,mac=52:54:00:0a:0b:0c,address=10.1.2.3/16%10.1.255.255,address=fd00::2,route=10.0.0.0/8%10.1.0.1',
    'dhcp',
  ],
  security: 'static,label=user_u:role_r:type_t:s0:c1,c2',
  tty: true,
  command: ['/bin/sh', '-c', 'echo "$GREETING";\n\techo done'],
};

export const MINIMAL = `[api]
class=GVirSandboxConfigInteractive
version=0.8.0

[core]
name=sandbox
root=/
arch=x86_64
kernrelease=6.1.0-9-amd64
shell=false
debug=false
verbose=false

[identity]
uid=2003
gid=2003
username=nogroups
homedir=/home/nogroups

[security]
dynamic=true

[interactive]
tty=false

[command]
argv.0=/bin/date
`;
