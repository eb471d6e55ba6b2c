// What this holds: two organizations never have one name, names that look alike are told, and no
// door of the service takes a text that shows nothing.
// What makes it fail: a name that is compared by its code units, a column that the verifier does
// not know, a schema without its format.
import fc from 'fast-check'
import t from 'tap'
import { migrate } from '../src/db/index.ts'
import { comparingForm } from '../src/forms/index.ts'
import { checkLog, verifyAll } from './support/check-log.ts'
import { admin } from './support/database.ts'
import { everyRole } from './support/roles.ts'
import { usualOperation } from './support/usual-operation.ts'
import { codeOf, freshId } from './support/wire.ts'

const { operation, byRole, server, administrator } = await everyRole(t)
const { coordinator, ncp } = byRole
const register = (name: string, kind = 'partner') =>
  administrator.call('POST', '/v1/organizations', { id: freshId(), kind, name })

// Bites: `comparingForm` in `registerOrganization`, and the constraint of migration 0027.
t.test('a name that is there already is taken, however it is written', async (t) => {
  t.equal((await register('Ünion Customs')).status, 201)
  for (const name of [
    'Ünion Customs ',
    ' ünion  CUSTOMS',
    'U\u0308nion Customs',
    'Ünion\u200b Customs',
    '\u202eÜnion Customs\u202c',
    'Ünion\u00a0Customs',
    'Üni\u00adon Customs',
    'Ｕ\u0308ｎｉｏｎ Customs',
  ]) {
    const answer = await register(name, 'rilo')
    t.equal(codeOf(answer), '409 NAME_TAKEN', JSON.stringify(name))
    t.match(answer.body, { name: 'Ünion Customs' })
  }
  const id = freshId()
  const wanted = { id, kind: 'partner', name: 'Again' }
  for (let n = 0; n < 2; n++) t.equal((await administrator.call('POST', '/v1/organizations', wanted)).status, 201)
  const two = await Promise.all(['At Once', 'at once'].map((name) => register(name)))
  t.same(
    two.map(({ status }) => status).toSorted((a, b) => a - b),
    [201, 409],
  )
})

t.test('INV-187: any two texts of one form are one name', async () => {
  const wide = (text: string) => text.replace(/[a-z]/g, (letter) => String.fromCodePoint(letter.charCodeAt(0) + 0xfee0))
  const ways: ((text: string) => string)[] = [
    (text) => text.toUpperCase(),
    (text) => text.normalize('NFD'),
    wide,
    (text) => text.replaceAll(' ', '\u2003 '),
    (text) => [...text].join('\u200d'),
    (text) => `\u2067${text}\u2069 `,
  ]
  const names = fc.string({ unit: fc.constantFrom(...'aäßéığ ñł漢한я'), minLength: 4, maxLength: 12 })
  await fc.assert(
    fc.asyncProperty(names, fc.subarray(ways, { minLength: 1 }), async (name, chosen) => {
      const plain = `${name} ${freshId()}`
      const other = chosen.reduce((text, way) => way(text), plain)
      if (comparingForm(other) !== comparingForm(plain)) return false
      if (other.length > 200 || plain.length > 200) return true
      return (await register(plain)).status === 201 && codeOf(await register(other)) === '409 NAME_TAKEN'
    }),
    { numRuns: 15, seed: 16 },
  )
})

// Bites: `lookingLike`.
t.test('a name that looks like another one is registered with a warning', async (t) => {
  const first = await administrator.call('POST', '/v1/organizations', { id: freshId(), kind: 'partner', name: 'Peru' })
  t.same(first.body, { similar: [] })
  const cyrillic = await register('Реru')
  t.equal(cyrillic.status, 201)
  t.match(cyrillic.body, { similar: [{ name: 'Peru' }] })
})

// Bites: `onSimilar` of the SDK, which `cordon organization add` shows.
t.test('the SDK and the command tell whose name a new one looks like', async (t) => {
  const scene = await usualOperation(t)
  const { directory } = scene.administrator
  const chile = await directory.registerOrganization({ kind: 'partner', name: 'Chile' })
  const told: object[] = []
  const cyrillic = { kind: 'partner', name: 'Сhile' } as const
  await directory.registerOrganization(cyrillic, (similar) => told.push(...similar))
  t.same(told, [{ organization: chile, name: 'Chile' }])
  const again = directory.registerOrganization({ kind: 'partner', name: 'CHILE\u200b' })
  await t.rejects(again, { code: 'NAME_TAKEN', extra: { organization: chile } })
})

// Bites: the format `not-blank`, which asks `isBlank`.
t.test('a text that shows nothing is refused at every door of the service', async (t) => {
  for (const blank of [' ', '\u200b', '\u00a0\u3000', '\u202e', '\u3164', '\u2800']) {
    const shown = JSON.stringify(blank)
    t.equal(codeOf(await register(blank)), '400 VALIDATION', shown)
    const path = `/v1/operations/${operation.id}`
    t.equal(codeOf(await coordinator.call('PATCH', path, { name: blank })), '400 VALIDATION', shown)
    t.equal(codeOf(await coordinator.call('PATCH', path, { purpose: blank })), '400 VALIDATION', shown)
    const why = new URLSearchParams({ justification: blank.repeat(3) }).toString()
    t.equal(codeOf(await administrator.call('GET', `/v1/organizations?${why}`)), '400 VALIDATION', shown)
    t.equal(codeOf(await ncp.call('GET', `/v1/logs/${operation.id}/entries?${why}`)), '400 VALIDATION', shown)
    const away = { deputy: coordinator.person, reason: blank }
    t.equal(codeOf(await ncp.call('PUT', `/v1/people/${ncp.person}/deputy`, away)), '400 VALIDATION', shown)
  }
})

t.test('the form of a name is what the directory gives, and a database of before gets it', async (t) => {
  await checkLog(server)
  const { superUrl } = server.database
  const kenya = ncp.organization
  const sql = (text: string) => admin(superUrl, (client) => client.query(text))
  const wrong = async (change: string) => {
    await sql(change)
    return verifyAll(server)
  }
  t.match(JSON.stringify(await wrong(`UPDATE organization SET name_form = 'other' WHERE id = '${kenya}'`)), /name_form/)
  t.match(JSON.stringify(await wrong(`UPDATE organization SET name_form = NULL WHERE id = '${kenya}'`)), /name_form/)
  await sql('ALTER TABLE organization DROP COLUMN name_form')
  await sql('DROP INDEX message_read_by_person, message_read_by_organization')
  await sql('ALTER TABLE session DROP COLUMN reading')
  await sql("DELETE FROM schema_migration WHERE name >= '0027'")
  await migrate(superUrl)
  await checkLog(server)
})
