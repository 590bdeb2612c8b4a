/** Declares the functions of libvirt.so for FFI. https://libvirt.org/html/index.html documents them. */
import koffi, { type LibraryHandle } from 'koffi';

/** virError. */
export const virError = koffi.struct({
  code: 'int',
  domain: 'int',
  message: 'char *',
  level: 'int',
  conn: 'void *',
  dom: 'void *',
  str1: 'char *',
  str2: 'char *',
  str3: 'char *',
  int1: 'int',
  int2: 'int',
  net: 'void *',
});
/** virErrorFunc. */
export const errorCallback = koffi.pointer(koffi.proto('void', ['void *', koffi.pointer(virError)]));
/** virConnectDomainEventCallback. */
export const lifecycleCallback = koffi.pointer(koffi.proto('int', ['void *', 'void *', 'int', 'int', 'void *']));

export type Functions = ReturnType<typeof declare>;

/** Declares the functions of a loaded libvirt.so. */
export function declare(so: LibraryHandle) {
  return {
    setErrorFunc: so.func('virSetErrorFunc', 'void', ['void *', errorCallback]),
    connectOpen: so.func('virConnectOpen', 'void *', ['str']),
    connectClose: so.func('virConnectClose', 'int', ['void *']),
    getVersion: so.func('virGetVersion', 'int', [koffi.out(koffi.pointer('unsigned long')), 'str', 'void *']),
    getLibVersion: so.func('virConnectGetLibVersion', 'int', ['void *', 'void *']),
    connGetLastError: so.func('virConnGetLastError', koffi.pointer(virError), ['void *']),
    // Leaks the text, which the caller would have to free. It is asked for at most once per process.
    capabilities: so.func('virConnectGetCapabilities', 'str', ['void *']),
    createXML: so.func('virDomainCreateXML', 'void *', ['void *', 'str', 'unsigned int']),
    destroy: so.func('virDomainDestroy', 'int', ['void *']),
    free: so.func('virDomainFree', 'int', ['void *']),
    getID: so.func('virDomainGetID', 'unsigned int', ['void *']),
    getXML: so.func('virDomainGetXMLDesc', koffi.disposable('str'), ['void *', 'unsigned int']),
    registerDefaultImpl: so.func('virEventRegisterDefaultImpl', 'int', []),
    runDefaultImpl: so.func('virEventRunDefaultImpl', 'int', []),
    addTimeout: so.func('virEventAddTimeout', 'int', ['int', 'void *', 'void *', 'void *']),
    registerAny: so.func('virConnectDomainEventRegisterAny', 'int', [
      'void *',
      'void *',
      'int',
      lifecycleCallback,
      'void *',
      'void *',
    ]),
    deregisterAny: so.func('virConnectDomainEventDeregisterAny', 'int', ['void *', 'int']),
  };
}
