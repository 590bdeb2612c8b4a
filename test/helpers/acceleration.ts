/** What the machines of the tests run under: KVM where it runs guests, as scripts/test.mjs has found out. */

export const ACCELERATION = process.env['TEST_ACCELERATION'] === 'kvm' ? 'kvm' : 'tcg';

/** For machines with a store of their own, which does not know yet whether KVM runs guests. */
export const ACCEL = ['--accel', ACCELERATION];

/** For what is about emulation. */
export const TCG = ['--accel', 'tcg'];
