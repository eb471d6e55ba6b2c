export { FileStore, isWeakForStore } from './file-store.ts'
