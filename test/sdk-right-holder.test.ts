import t from 'tap'
import { isProblem } from '../src/client/index.ts'
import { enrolWith, opened, partyOf, takeIn } from './support/actors.ts'
import { usualOperation } from './support/usual-operation.ts'

const text = (words: string) => ({ form: 'text', fields: { text: words } })

const code = (promise: Promise<unknown>) =>
  promise.then(
    () => 'accepted',
    (error: unknown) => (isProblem(error) ? error.code : String(error)),
  )

async function scene(owner: Parameters<typeof usualOperation>[0]) {
  const it = await usualOperation(owner)
  const { administrator, coordinator, operation } = it
  const kenya = await partyOf(owner, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
  const company = await partyOf(owner, administrator, {
    kind: 'right-holder',
    name: 'Company',
  })
  await takeIn(coordinator, operation, kenya, 'ncp')
  const everybody = await kenya.client.follow(operation)
  await everybody.post(text('Not for companies.'))
  await takeIn(coordinator, operation, company, 'right-holder')
  const compartment = await kenya.client.operations.createCompartment(operation, { name: 'Company', members: [] })
  const first = await everybody.post({ ...text('Is this your product?'), compartment })
  await kenya.client.operations.addToCompartment(operation, compartment, company.client.person)
  return { ...it, compartment, first, kenya: kenya.client, organization: kenya.organization, company: company.client }
}

t.test('a right holder reads and answers in its compartment, and sees nobody else', async (t) => {
  const { operation, compartment, first, kenya, company, coordinator } = await scene(t)
  const session = await company.follow(operation)
  const question = await opened(company, operation, first.message)
  const answer = await session.reply(question, text('It is a counterfeit.'))
  t.equal((await opened(kenya, operation, answer.message)).fields['text'], 'It is a counterfeit.')
  await opened(company, operation, answer.message)
  t.same(
    session.messages.map(({ compartment: of }) => of),
    [compartment, compartment],
  )
  t.notOk(session.view.member(coordinator.person as never), 'the coordinator is not in the compartment')
  t.same(session.alarms, [])
  t.equal(await code(session.post(text('To all.'))), 'NOT_IN_COMPARTMENT')
})

t.test('a right holder cannot renew a key: its answer waits until a member’s client has', async (t) => {
  const { operation, compartment, first, kenya, organization, company } = await scene(t)
  const officer = await enrolWith(t, kenya, { name: 'Officer', organization, tier: 'person' })
  await kenya.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
  await kenya.operations.addToCompartment(operation, compartment, officer.person)
  const session = await company.follow(operation)
  const question = await opened(company, operation, first.message)
  await kenya.operations.removeFromCompartment(operation, compartment, officer.person)
  const answer = await session.reply(question, text('After somebody left.'))
  t.equal((await opened(kenya, operation, answer.message)).epoch, 2)
  t.same(session.alarms, [])
})

t.test('a member who leaves the operation is gone from the right holder’s view before it seals again', async (t) => {
  const { operation, compartment, first, kenya, organization, company } = await scene(t)
  const officer = await enrolWith(t, kenya, { name: 'Officer', organization, tier: 'person' })
  await kenya.operations.admit(operation, { person: officer.person, organization, role: 'officer' })
  await kenya.operations.addToCompartment(operation, compartment, officer.person)
  const session = await company.follow(operation)
  const question = await opened(company, operation, first.message)
  const before = await (await officer.follow(operation)).post({ ...text('I am new here.'), compartment })
  await opened(company, operation, before.message)
  await kenya.operations.remove(operation, officer.person)
  await (await kenya.follow(operation)).post({ ...text('The officer left.'), compartment })
  const answer = await session.reply(question, text('To those who are left.'))
  await opened(kenya, operation, answer.message)
  const recipients = session.view.currentEpoch(compartment as never)?.recipients ?? []
  t.same([...recipients].sort(), [kenya.device, company.device].sort())
  t.notOk(session.view.devices.has(officer.device as never))
  t.ok(session.message(before.message), 'what the officer said stays')
  t.same(session.alarms, [])
})
