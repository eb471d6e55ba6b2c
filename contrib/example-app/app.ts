import { writeFile } from 'node:fs/promises'
import { isProblem, sameFigures, verifyReceipt, type Figures, type OperationSession } from 'cordon'
import { openDevice, setting } from './device.ts'

const { client, close } = await openDevice()

/** The operation of this member, with everything that happened in it so far. */
async function follow(): Promise<OperationSession> {
  await client.signIn({ passphrase: setting('SIGN_IN_PASSPHRASE') })
  if ((await client.waitingFor()) !== null)
    throw new Error('The client of your inviter has not certified this device.')
  const [operation] = await client.operations.list()
  if (operation === undefined) throw new Error('No coordinator has admitted you to an operation.')
  const session = await client.follow(operation.operation)
  session.events.on('alarm', ({ code, detail }) => console.error(`alarm ${code}: ${detail}`))
  await session.ready()
  return session
}

/** Posts a seizure, proves its place in the log again, and keeps the proof for others. */
async function post(session: OperationSession): Promise<void> {
  const posted = await session.post({
    form: 'seizure',
    subject: 'Scales in a suitcase',
    fields: {
      country: 'KE',
      date: '2026-11-20',
      items: [{ category: 'wildlife/pangolin/scales', quantity: '12.5', unit: 'KGM' }],
    },
  })
  const { operation } = session
  const { message, statement, receipt } = posted
  const leaf = await verifyReceipt(
    receipt,
    { operation, message, statement },
    client.self.account.pins,
  )
  console.log(`Posted: entry ${String(leaf.index)} of the log, ${leaf.at}. The receipt holds.`)
  await writeFile('receipt.tlog-proof', await client.portableReceipt(operation, message))
}

/** Prints the messages that this member can open, and what this device does not believe. */
function read(session: OperationSession): void {
  for (const { index, form, subject, fields } of session.messages)
    console.log(`${String(index)} ${form} ${subject ?? ''} ${JSON.stringify(fields)}`)
  for (const { index, code, detail } of session.aside)
    console.log(`${String(index)} set aside: ${code} ${detail}`)
}

/** Counts the figures from the opened messages, and compares them with those of the service. */
async function count(session: OperationSession): Promise<void> {
  const own = session.figures()
  console.log(`${String(own.seizures)} seizures in ${String(own.cases)} cases`)
  for (const { category, quantity, unit } of own.quantities)
    console.log(`${category}: ${quantity} ${unit}`)
  const service = await client.transport.request<Figures>(
    'GET',
    `/v1/operations/${session.operation}/figures`,
  )
  console.log(
    sameFigures(own, service) ? 'The service counts the same.' : 'The service counts otherwise.',
  )
}

try {
  const session = await follow()
  await post(session)
  read(session)
  await count(session)
} catch (error) {
  if (!isProblem(error)) throw error
  console.error(`${error.code}: ${error.detail} ${error.advice}`)
  process.exitCode = 1
} finally {
  await close()
}
