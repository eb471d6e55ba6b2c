import hooks, { type AsyncHook } from 'node:async_hooks'
import { syncBuiltinESMExports } from 'node:module'

// Loaded before tap, which otherwise follows every promise of a test with an async hook, to say of
// an error nobody catches in which subtest it arose. That costs a fifth of the processor; without
// it such an error ends the file, and fails it.
const idle: AsyncHook = { enable: () => idle, disable: () => idle }
hooks.createHook = () => idle
syncBuiltinESMExports()
