import * as protocol from '../../src/protocol/index.ts'
import { startServer, type TestServer, type TestServerOptions } from './server.ts'
import { createOperation, went, type WireOperation } from './wire-operation.ts'
import { enrolInvited, freshId, heardWhoRead, invite, newcomer, now, random, setUp, type WireActor } from './wire.ts'

interface Owner {
  teardown(clean: () => Promise<unknown>): void
}

export interface BusyService {
  readonly server: TestServer
  readonly operation: WireOperation
  readonly root: protocol.Device
  readonly administrator: WireActor
  readonly coordinator: WireActor
  readonly ncpOfKenya: WireActor
  readonly officerOfKenya: WireActor
  readonly ncpOfThailand: WireActor
  readonly rightHolder: WireActor
  /** A compartment of the coordinator, the NCP of Kenya and the right holder. */
  readonly compartment: string
  readonly messages: { text: string; warning: string; feedback: string; seizure: string; correction: string }
}

/** A service on which every kind of row has come into being, through its own doors. */
export async function busyService(owner: Owner, options: TestServerOptions = {}): Promise<BusyService> {
  const server = await startServer(owner, options)
  const { administrator, root } = await setUp(server)
  const register = async (kind: string, name: string, country?: string) => {
    const id = freshId()
    await administrator.must('POST', '/v1/organizations', { id, kind, name, ...(country ? { country } : {}) })
    return id
  }
  const rilo = await register('rilo', 'RILO for Eastern Africa')
  const kenya = await register('administration', 'Kenya Revenue Authority', 'KE')
  const thailand = await register('administration', 'Thai Customs', 'TH')
  const partner = await register('partner', 'A partner')
  const brand = await register('right-holder', 'A brand')
  const coordinator = await newcomer(administrator, { name: 'Coordinator', organization: rilo, tier: 'ncp' })
  const ncpOfKenya = await newcomer(administrator, { name: 'NCP of Kenya', organization: kenya, tier: 'ncp' })
  const officerOfKenya = await newcomer(ncpOfKenya, { name: 'Officer of Kenya', organization: kenya })
  const ncpOfThailand = await newcomer(administrator, { name: 'NCP of Thailand', organization: thailand, tier: 'ncp' })
  const partnerOfficer = await newcomer(administrator, { name: 'Partner', organization: partner, tier: 'ncp' })
  const rightHolder = await newcomer(administrator, { name: 'Right holder', organization: brand, tier: 'ncp' })
  const waiting = await invite(ncpOfKenya, { name: 'Not yet certified', organization: kenya })
  await enrolInvited(waiting)

  const operation = await createOperation(owner, administrator, coordinator)
  for (const organization of [kenya, thailand, partner, brand]) went(await operation.admitOrganization(organization))
  went(await operation.admit(ncpOfKenya, 'ncp'))
  went(await operation.admit(officerOfKenya, 'officer', ncpOfKenya))
  went(await operation.admit(ncpOfThailand, 'officer'))
  went(await operation.admit(partnerOfficer, 'partner'))
  went(await operation.admit(rightHolder, 'right-holder'))
  went(await operation.changeRole(ncpOfThailand.person, 'ncp'))
  went(await operation.setRules({ history: 'full', allHolds: ['partner'] }))
  went(await coordinator.call('PATCH', operation.path, { name: 'Operation Pangolin', timeZone: 'Europe/Brussels' }))
  went(await operation.advance('rehearsal'))
  went(await operation.openEpoch(coordinator))
  went(await operation.post(coordinator, { form: 'seizure' }))
  went(await operation.advance('active'))
  const { id: compartment } = went(
    await operation.createCompartment(coordinator, [ncpOfKenya.person, officerOfKenya.person]),
  )
  went(await operation.openEpoch(ncpOfKenya, compartment))
  went(await operation.addTo(compartment, rightHolder.person))
  went(await operation.removeFrom(compartment, officerOfKenya.person))
  went(await operation.openEpoch(coordinator))
  went(await operation.openEpoch(coordinator, compartment))
  await grantHistory(operation, coordinator, rightHolder, compartment, 1)

  const text = went(await operation.post(coordinator, { compartment }))
  went(
    await operation.post(rightHolder, {
      compartment,
      thread: text.thread,
      refersTo: { message: text.id, as: 'reply' },
    }),
  )
  const warning = went(await operation.post(coordinator, { form: 'warning', addressees: [kenya] }))
  const feedback = went(
    await operation.post(ncpOfKenya, {
      form: 'feedback',
      thread: warning.thread,
      refersTo: { message: warning.id, as: 'feedback' },
    }),
  )
  const seizure = went(await operation.post(officerOfKenya, { form: 'seizure' }))
  const refersTo = { message: seizure.id, as: 'correction' } as const
  const correction = went(await operation.post(ncpOfKenya, { form: 'seizure', thread: seizure.thread, refersTo }))
  went(
    await operation.post(ncpOfKenya, {
      thread: seizure.thread,
      refersTo: { message: correction.id, as: 'withdrawal' },
    }),
  )

  went(await operation.remove(partnerOfficer.person))
  const removal = await operation.sign(coordinator, { act: 'remove', organization: partner })
  went(await coordinator.call('POST', `${operation.path}/organizations/${partner}/removal`, { statement: removal }))
  const further = await newcomer(officerOfKenya, {
    name: 'Officer of Kenya',
    organization: kenya,
    person: officerOfKenya.person,
  })
  const revocation = await protocol.signRevocation(ncpOfKenya.device, further.device.id, now())
  went(await ncpOfKenya.call('POST', '/v1/revocations', { revocation }))
  went(await operation.openEpoch(coordinator))
  went(await ncpOfKenya.call('GET', `${operation.path}/messages/${warning.id}`))
  went(await ncpOfKenya.call('GET', `${operation.path}/figures`))

  const seal = await protocol.importSealPublicKey(ncpOfKenya.device.keys.seal.pub)
  const sealed = await protocol.sealTo('cordon-import+jwe', { kid: ncpOfKenya.device.id }, seal, random(32))
  const keys = [{ device: ncpOfKenya.device.id, sealed }]
  went(await ncpOfKenya.call('PUT', `${operation.path}/import-key`, { keys }))

  const watching = await coordinator.live()
  await watching.follow(operation.id)
  const live = await ncpOfThailand.live()
  await live.follow(operation.id)
  live.send({ type: 'acknowledge', operation: operation.id, upTo: 5 })
  live.send({ type: 'acknowledge', operation: operation.id, messages: [warning.id] })
  await heardWhoRead(server, watching)
  live.close()
  watching.close()
  await server.refusals.flush()
  for (const log of [operation.id, server.logs.directory]) await server.logs.checkpoint(log)
  const messages = {
    text: text.id,
    warning: warning.id,
    feedback: feedback.id,
    seizure: seizure.id,
    correction: correction.id,
  }
  return {
    server,
    operation,
    root,
    administrator,
    coordinator,
    ncpOfKenya,
    officerOfKenya,
    ncpOfThailand,
    rightHolder,
    compartment,
    messages,
  }
}

/** Gives an earlier epoch's key to the devices of a newcomer to the compartment. */
export async function grantHistory(
  operation: WireOperation,
  giver: WireActor,
  { person }: { person: string },
  compartment: string,
  epoch: number,
): Promise<void> {
  const view = await operation.view()
  const key = operation.keys.get(`${compartment}#${epoch}`)
  if (key === undefined) throw new Error('the test does not hold this key')
  const grants = await Promise.all(
    view.devicesOf(person as protocol.PersonId).map(async ({ device }) => ({
      device,
      epoch,
      grant: await operation.seal(view, device, compartment, epoch, key),
    })),
  )
  went(await giver.call('POST', `${operation.path}/grants`, { compartment, grants }))
}
