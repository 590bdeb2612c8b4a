// Lists the boot images of the store, and checks the one that was used last.
import { Images, run } from 'virt-sandbox';

// A start finds an image, or builds one.
await run('true');
const [image] = await Images.list();
if (image === undefined) throw new Error('the store is empty');
const damages = await Images.verify(image.id);
console.log(`${image.manifest?.kernel.version} ${damages.length === 0 ? 'is whole' : 'is damaged'}`);
