/** The changes to a profile that an ablation measures, one at a time. */
import { readdirSync } from 'node:fs';
import { INITRD_COMPRESSIONS } from '../../image/manifest.js';
import { defaultSetsDirectory } from '../../kmods/sets.js';
import type { ImageTuning, Profile } from '../../profile/types.js';
import { CANDIDATES, type Candidate } from './candidates.js';
import { deviceChanges } from './devices.js';

/** One change to a profile. */
export interface Change {
  /** As `without cryptomgr.notests`. */
  readonly label: string;
  readonly apply: (profile: Profile) => Profile;
}

/** One change for everything that a profile may have or lack. */
export function changesOf(profile: Profile): Change[] {
  const here = namesIn(profile);
  return [
    ...removals(profile),
    ...CANDIDATES.filter(({ name }) => !here.has(name)).map(adding),
    ...machineChanges(profile),
    ...deviceChanges(profile),
    ...imageChanges(profile),
    ...moduleSetChanges(profile),
  ];
}

/** Takes out each kernel argument, and calls each skipped initcall. */
function removals({ kernelArguments, initcallBlacklist }: Profile): Change[] {
  return [
    ...kernelArguments.map(({ argument }) => ({
      label: `without ${argument}`,
      apply: (one: Profile) => ({
        ...one,
        kernelArguments: one.kernelArguments.filter((other) => other.argument !== argument),
      }),
    })),
    ...initcallBlacklist.map(({ initcall }) => ({
      label: `without skipping ${initcall}`,
      apply: (one: Profile) => ({
        ...one,
        initcallBlacklist: one.initcallBlacklist.filter((other) => other.initcall !== initcall),
      }),
    })),
  ];
}

/** The other one of two values. */
function other<T extends string>(now: T, one: T, two: T): T {
  return now === one ? two : one;
}

function machineChanges({ machine }: Profile): Change[] {
  return [
    { firmware: other(machine.firmware, 'qboot', 'libvirt') },
    { bus: other(machine.bus, 'root', 'ports') },
    { legacy: other(machine.legacy, 'absent', 'present') },
  ].map((change) => ({
    label: `machine with ${Object.entries(change).map(([name, value]) => `${name} ${value}`)[0]}`,
    apply: (one: Profile): Profile => ({ ...one, machine: { ...one.machine, ...change } }),
  }));
}

/** Module signatures, the form of the kernel, and the packing of the initrd. */
function imageChanges({ image, moduleSignatures = 'checked' }: Profile): Change[] {
  const signatures = other(moduleSignatures, 'checked', 'unchecked');
  const kernel = other(image?.kernel ?? 'unpacked', 'unpacked', 'packed');
  const initrds = INITRD_COMPRESSIONS.filter((compression) => compression !== (image?.initrd ?? 'none'));
  return [
    {
      label: `with module signatures ${signatures}`,
      apply: (one: Profile): Profile => ({ ...one, moduleSignatures: signatures }),
    },
    changedImage(`the kernel ${kernel}${kernel === 'packed' ? ' (bzImage)' : ' (vmlinux)'}`, { kernel }),
    ...initrds.map((initrd) =>
      changedImage(initrd === 'none' ? 'an initrd that is not packed' : `the initrd packed with ${initrd}`, { initrd }),
    ),
  ];
}

/** Leaves out each set of modules that the profile adds, and adds each other one. */
function moduleSetChanges({ moduleSets = [] }: Profile): Change[] {
  const fewer = moduleSets.map((name) => ({
    label: `without the modules of ${name}`,
    apply: (one: Profile): Profile => ({
      ...one,
      moduleSets: (one.moduleSets ?? []).filter((other) => other !== name),
    }),
  }));
  const more = setNames()
    .filter((name) => !moduleSets.includes(name))
    .map((name) => ({
      label: `with the modules of ${name}`,
      apply: (one: Profile): Profile => ({ ...one, moduleSets: [...(one.moduleSets ?? []), name] }),
    }));
  return [...fewer, ...more];
}

function changedImage(what: string, change: ImageTuning): Change {
  return { label: `image with ${what}`, apply: (one) => ({ ...one, image: { ...one.image, ...change } }) };
}

/** Names of the kernel arguments and skipped initcalls in a profile. */
export function namesIn({ kernelArguments, initcallBlacklist }: Profile): Set<string> {
  return new Set([
    ...kernelArguments.map(({ argument }) => argument),
    ...initcallBlacklist.map(({ initcall }) => initcall),
  ]);
}

/** A candidate as a change. `tune` fills in its worth when it has been measured. */
export function adding({ kind, name, why, risk }: Candidate): Change {
  const reason = { why, worth: 'not measured', risk };
  return kind === 'argument'
    ? {
        label: `with ${name}`,
        apply: (one) => ({ ...one, kernelArguments: [...one.kernelArguments, { argument: name, ...reason }] }),
      }
    : {
        label: `skipping ${name}`,
        apply: (one) => ({ ...one, initcallBlacklist: [...one.initcallBlacklist, { initcall: name, ...reason }] }),
      };
}

function setNames(): string[] {
  return readdirSync(defaultSetsDirectory())
    .filter((file) => file.endsWith('.json'))
    .map((file) => file.slice(0, -'.json'.length))
    .sort();
}
