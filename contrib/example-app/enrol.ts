import { isProblem } from 'cordon'
import { openDevice, setting } from './device.ts'

const { client, close } = await openDevice()
try {
  const { name, inviter } = await client.enrol({
    invitation: setting('INVITATION'),
    passphrase: setting('SIGN_IN_PASSPHRASE'),
  })
  console.log(`Enrolled as ${name}, invited by ${inviter?.name ?? 'somebody'}.`)
} catch (error) {
  if (!isProblem(error)) throw error
  console.error(`${error.code}: ${error.detail} ${error.advice}`)
  process.exitCode = 1
} finally {
  await close()
}
