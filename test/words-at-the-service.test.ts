// What this holds: the address of a request is text in UTF-8 to its last byte, as a body is; a text
// that the log records has one line; a refusal says what a text must be.
// What makes it fail: a part of an address that is taken with its percent signs, which the log then
// holds for ever.
import { connect } from 'node:net'
import { once } from 'node:events'
import t from 'tap'
import { everyRole } from './support/roles.ts'
import { codeOf } from './support/wire.ts'

const { operation, byRole, server } = await everyRole(t)
const { auditor, ncp, coordinator } = byRole
const entries = `/v1/logs/${operation.id}/entries`

// Bites: `requireWholeAddresses`.
t.test('an address that is not in UTF-8 is refused, and nothing is recorded', async (t) => {
  for (const part of ['justification=%FCber', 'justification=%ED%A0%80abc', 'subject=%FF', 'text=M%FCller', 'kind=%'])
    t.equal(codeOf(await auditor.call('GET', `${entries}?${part}`)), '400 BAD_REQUEST', part)
  t.equal(codeOf(await auditor.call('GET', '/v1/logs/%FF/entries')), '400 BAD_REQUEST')
  const { hostname, port } = new URL(server.url)
  const socket = connect(Number(port), hostname)
  socket.write(
    Buffer.from(`GET ${entries}?justification=Müller HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`, 'utf8'),
  )
  const [answer] = (await once(socket, 'data')) as [Buffer]
  socket.destroy()
  t.match(answer.toString(), /^HTTP\/1\.1 400 /, 'bytes that are not percent-encoded')
  t.equal((await auditor.call('GET', `${entries}?justification=%C3%BCber%20alles`)).status, 200)
  const recorded = await auditor.call('GET', `${entries}?kind=log.queried&justification=abc`)
  t.match(recorded.text, /über alles/)
  t.notMatch(recorded.text, /%FC|%FF|%ED|Ã/)
})

// Bites: `oneLine` in src/log/filters.ts.
t.test('a justification and the words of a query have no control characters', async (t) => {
  for (const part of ['justification=a%00bc', 'justification=abc%0Adef', 'justification=a%C2%9Bbc'])
    t.equal(codeOf(await auditor.call('GET', `${entries}?${part}`)), '400 VALIDATION', part)
  t.equal(codeOf(await auditor.call('GET', `${entries}?subject=%E2%80%8B`)), '400 VALIDATION', 'a subject of nothing')
  const asked = 'from=2026-01-01T00:00:00.000Z&text=a%1Bb&justification=abc'
  t.equal(codeOf(await auditor.call('GET', `${entries}?${asked}`)), '400 VALIDATION')
})

// Bites: `reasonOf` in src/http/validation.ts.
t.test('a refusal says what a text must be', async (t) => {
  const put = (body: object) =>
    ncp.call('PUT', `/v1/people/${ncp.person}/deputy`, { deputy: coordinator.person, reason: 'Away', ...body })
  const faults = (pointer: string, reason: RegExp) => ({ body: { faults: [{ pointer, reason }] } })
  t.match(await put({ reason: '\u2800' }), faults('/reason', /says nothing: it needs characters/))
  t.match(await put({ until: '2098-12-31T23:59:60Z' }), faults('/until', /of the years 1900 to 2199/))
})
