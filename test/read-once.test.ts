// What this holds: the server parses the statement of a posted message once.
// What makes it fail: a second `readMessageStatement` or `readStatement` on the way of a message.
import t from 'tap'
import { opened } from './support/actors.ts'
import { text } from './support/altered-operation.ts'
import { patchedServer } from './support/patched.ts'
import { usualOperation } from './support/usual-operation.ts'

const counting = {
  file: 'protocol/jws.ts',
  find: "  const parts = jws.split('.')\n",
  replace: "  globalThis.statementsRead?.push(jws)\n  const parts = jws.split('.')\n",
}

t.test('a posted statement is read once by the server', async (t) => {
  const read: string[] = []
  Object.assign(globalThis, { statementsRead: read })
  t.teardown(() => Reflect.deleteProperty(globalThis, 'statementsRead'))
  // The server runs a copy of the sources that counts; the client runs the sources themselves.
  const scene = await usualOperation(t, { create: await patchedServer(t, [counting]) })
  const { coordinator, operation } = scene
  const leading = await coordinator.follow(operation)
  await leading.ready()
  await leading.post(text('The first one opens a key.'))
  read.length = 0
  const { message } = await leading.post(text('Look at container 7.'))
  await opened(coordinator, operation, message)
  t.equal(read.length, 1)
})
