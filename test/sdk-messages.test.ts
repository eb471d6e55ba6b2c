import t from 'tap'
import { opened, partyOf, takeIn } from './support/actors.ts'
import { usualOperation } from './support/usual-operation.ts'

t.test('a message goes from one administration to another, sealed, receipted and opened', async (t) => {
  const { administrator, coordinator, operation } = await usualOperation(t)
  const kenya = await partyOf(t, administrator, { kind: 'administration', name: 'Customs of Kenya', country: 'KE' })
  const thailand = await partyOf(t, administrator, {
    kind: 'administration',
    name: 'Customs of Thailand',
    country: 'TH',
  })
  await takeIn(coordinator, operation, kenya, 'ncp')
  await takeIn(coordinator, operation, thailand, 'ncp')
  const reading = await thailand.client.follow(operation)
  await reading.ready()
  const writing = await kenya.client.follow(operation)
  const posted = await writing.post({ form: 'text', subject: 'Hello', fields: { text: 'A container left Mombasa.' } })
  const message = await opened(thailand.client, operation, posted.message)
  t.equal(message.subject, 'Hello')
  t.equal(message.fields['text'], 'A container left Mombasa.')
  t.equal(message.organization, kenya.organization)
  t.same(message.marks, [])
  t.equal(message.index, posted.index)
  t.same(reading.alarms, [])
  t.same(writing.alarms, [])
})
