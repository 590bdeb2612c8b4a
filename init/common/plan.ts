/** Turns a sandbox into a plan: the operations that set it up, in order. Pure, so it can be tested without a guest. */
import type { GuestConfig } from './config.js';
import { confineStep } from './confine.js';
import { containerSystemStep, ownDirectories, usersStep } from './container.js';
import { type Devices, diskSteps } from './disks.js';
import { hideStep, mountSteps, rootStep } from './mounts.js';
import { ociRootStep } from './oci-root.js';
import { coverOverlayDisk } from './overlay.js';
import { consoleStep, sessionsStep } from './shell.js';
import { soundStep } from './sound.js';
import { call, MS_NODEV, MS_NOEXEC, MS_NOSUID, mountOf, type PlannedCall, type Step, tolerated } from './step.js';
import { systemdStep } from './systemd.js';

/** Inputs that differ from run to run. */
export interface RunInputs {
  /** The host's time when the plan is sent; undefined if the guest's clock is right. */
  readonly now: { readonly seconds: bigint; readonly nanoseconds: number } | undefined;
  /** Random bytes for the guest's entropy pool. Machines restored from one snapshot must not share them. */
  readonly entropy: Uint8Array;
  readonly devices: Devices;
}

/** The steps up to, but without, the application. */
export function planSandbox(config: GuestConfig, inputs: RunInputs): Step[] {
  const { shell } = config;
  return [
    ...(shell ? [sessionsStep(shell)] : []),
    // A container shares the host's kernel: clock and random numbers are right.
    ...(config.platform === 'container' ? [] : [kernelStep(inputs)]),
    ...processorsStep(config),
    ...usersStep(config),
    rootStep(config, inputs.devices),
    config.platform === 'container' ? containerSystemStep(config) : systemStep(config, inputs.devices),
    ...hideStep(config),
    ...diskSteps(config, inputs.devices),
    ...ociRootStep(config),
    ...mountSteps(config, inputs.devices),
    {
      name: 'network',
      calls: [{ operation: { op: 'linkUp', link: 'lo' } }, { operation: { op: 'hostname', name: config.hostname } }],
    },
    ...soundStep(config),
    ...confineStep(config),
    ...systemdStep(config),
    ...(shell ? consoleStep(config.hostname, shell) : []),
  ];
}

function systemStep(config: GuestConfig, devices: Devices): Step {
  return { name: 'system', calls: [...systemCalls(config), ...coverOverlayDisk(config, devices)] };
}

function kernelStep({ now, entropy }: RunInputs): Step {
  const clock = now ? [call({ op: 'setClock', ...now })] : [];
  return { name: 'clock', calls: [...clock, call({ op: 'addEntropy', data: entropy })] };
}

/** Brings up the processors that the kernel left offline. It comes before the root, which may lack /sys. */
function processorsStep({ lateProcessors = 0 }: GuestConfig): Step[] {
  if (lateProcessors === 0) return [];
  const calls = Array.from({ length: lateProcessors }, (_, number) =>
    call({
      op: 'writeFile',
      path: `/sys/devices/system/cpu/cpu${number + 1}/online`,
      mode: 0o600,
      flags: 0,
      data: new TextEncoder().encode('1'),
    }),
  );
  return [{ name: 'processors', calls }];
}

function systemCalls(config: GuestConfig): PlannedCall[] {
  return [
    call(mountOf('proc', '/proc', 'proc', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    // A root without /sys or /run is unusual, and usable.
    tolerated(mountOf('sysfs', '/sys', 'sysfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, '')),
    call({ op: 'mkdir', path: '/dev/pts', mode: 0o755 }),
    call(mountOf('devpts', '/dev/pts', 'devpts', MS_NOSUID | MS_NOEXEC, 'newinstance,gid=5,mode=620,ptmxmode=666')),
    call({ op: 'mkdir', path: '/dev/shm', mode: 0o1777 }),
    call(mountOf('tmpfs', '/dev/shm', 'tmpfs', MS_NOSUID | MS_NODEV, 'mode=1777')),
    call({ op: 'symlink', target: '/proc/self/fd', path: '/dev/fd' }),
    call({ op: 'symlink', target: '/proc/self/fd/0', path: '/dev/stdin' }),
    call({ op: 'symlink', target: '/proc/self/fd/1', path: '/dev/stdout' }),
    call({ op: 'symlink', target: '/proc/self/fd/2', path: '/dev/stderr' }),
    ...ownDirectories(config),
  ];
}
