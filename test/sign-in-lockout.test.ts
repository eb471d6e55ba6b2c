// What this holds: who guesses passphrases is stopped before they are checked, and nobody is kept
// out by somebody else's guesses (C8, C10).
import argon2 from 'argon2'
import t from 'tap'
import { Passphrases } from '../src/identity/index.ts'
import * as protocol from '../src/protocol/index.ts'
import { startServer } from './support/server.ts'
import { attempt, type SignInAttempt } from './support/sign-in.ts'
import { WireActor, codeOf, freshId, invite, newcomer, now, setUp, type Answer } from './support/wire.ts'

const limit = 10
const wrong = 'a wrong passphrase of a good length'
const minute = 60_000

// Counts what the service has argon2 do.
let checksDone = 0
const passphrases = new Passphrases(2, {
  hash: argon2.hash,
  verify: (...given: Parameters<typeof argon2.verify>) => {
    checksDone++
    return argon2.verify(...given)
  },
})
const server = await startServer(t, { passphrases, quotas: { 'source-sign-in': 10_000 } })
const { administrator } = await setUp(server)
const organization = freshId()
await administrator.must('POST', '/v1/organizations', { id: organization, kind: 'rilo', name: 'RILO' })

const somebody = (name = 'Guessed at') => newcomer(administrator, { name, organization, tier: 'ncp' })
const furtherDeviceOf = (one: WireActor) =>
  newcomer(one, { name: one.name, organization, tier: 'ncp', person: one.person })

async function checks(act: () => Promise<unknown>): Promise<number> {
  const before = checksDone
  await act()
  return checksDone - before
}

/** So many at once, and what they were answered, by code. */
async function crowdOf(size: number, act: () => Promise<Answer>): Promise<Record<string, number>> {
  const answers = await Promise.all(Array.from({ length: size }, act))
  const codes: Record<string, number> = {}
  for (const answer of answers) codes[codeOf(answer)] = (codes[codeOf(answer)] ?? 0) + 1
  return codes
}

// Bites: `proven` in signIn, asked before anything is counted; `person_id` and `state` in
// provesDevice.
t.test('INV-71: strangers who fail on purpose keep nobody out, and have nothing checked', async (t) => {
  const person = await somebody()
  const stranger = await new WireActor(server, 'Stranger').prepare()
  const colleague = await somebody('Colleague')
  const lost = await furtherDeviceOf(person)
  const revocation = await protocol.signRevocation(person.device, lost.device.id, now())
  await person.must('POST', '/v1/revocations', { revocation })
  const forged = { id: person.device.id, signKey: stranger.device.signKey }
  const attacks: Record<string, [WireActor, SignInAttempt]> = {
    'with a device made up': [stranger, { person: person.person }],
    'in the name of the device': [stranger, { person: person.person, device: forged }],
    'with the device of a colleague': [colleague, { person: person.person }],
    'with a device that was revoked': [lost, {}],
    'in the name of nobody': [stranger, { person: freshId() }],
  }
  let words: string | undefined
  for (const [what, [actor, input]] of Object.entries(attacks)) {
    let codes: Record<string, number> = {}
    const checked = await checks(async () => {
      codes = await crowdOf(40, () => attempt(actor, { ...input, passphrase: wrong }))
    })
    t.strictSame(codes, { '401 SIGN_IN_REFUSED': 40 }, what)
    t.equal(checked, 0, `${what}: no passphrase was checked`)
    const { text } = await attempt(actor, input)
    t.equal(text, (words ??= text), `${what}: the same words, with the right passphrase too`)
  }
  t.equal(codeOf(await attempt(person)), '201', 'the person gets in at once')
})

t.test('INV-71: what fails on one device shuts no other of the person', async (t) => {
  const person = await somebody()
  const stolen = await furtherDeviceOf(person)
  for (let i = 0; i < limit + 1; i++) await attempt(stolen, { passphrase: wrong })
  t.equal(codeOf(await attempt(stolen)), '401 SIGN_IN_REFUSED')
  t.equal(codeOf(await attempt(person)), '201')
  t.equal(codeOf(await attempt(stolen)), '401 SIGN_IN_REFUSED', 'whose success is nobody else’s')
})

// Bites: `counted` in `#credentialOf`: a second door without a lock (CVE-2025-31947).
t.test('INV-70: enrolling a further device is no door without a limit', async (t) => {
  const person = await somebody()
  const guess = async () => {
    const { actor, invitation, certify, authenticate } = await invite(person, {
      name: person.name,
      organization,
      tier: 'ncp',
      person: person.person,
    })
    const enrolment = await protocol.signEnrolment(actor.device, certify, {
      invitation,
      person: person.person,
      organization,
      tier: 'ncp',
    })
    return actor.call(
      'POST',
      '/v1/enrolments',
      { invitation, authenticate, ...enrolment, passphrase: wrong },
      { signedIn: false },
    )
  }
  let codes: Record<string, number> = {}
  t.equal(await checks(async () => (codes = await crowdOf(15, guess))), limit)
  t.strictSame(codes, { '401 SIGN_IN_REFUSED': 15 })
  t.equal(codeOf(await attempt(person)), '201', 'signing in goes on')
})

// Bites: `mostWaitingPerTurn`, `checkCountedAttempt` being asked in turn.
t.test(
  'INV-72: more passphrases than can be checked soon are refused at once, and counted against nobody',
  async (t) => {
    const person = await somebody()
    const others = [person]
    for (let i = 0; i < 2; i++)
      others.push(await newcomer(administrator, { name: `Officer ${i}`, organization, tier: 'ncp' }))
    for (let round = 0; round < 2; round++) {
      const answers = await Promise.all(
        Array.from({ length: 60 }, (_, i) => attempt(others[i % others.length] ?? person)),
      )
      const refused = answers.filter(({ status }) => status === 503)
      t.ok(refused.length > 0, 'some were too many')
      t.ok(answers.length - refused.length >= 16, 'and those who could wait got in')
      for (const answer of refused) {
        t.equal(codeOf(answer), '503 OVERLOADED')
        t.match(answer.headers.get('retry-after'), /^[1-9]\d?$/)
      }
      t.strictSame(
        answers.filter(({ status }) => status !== 201 && status !== 503),
        [],
      )
    }
    for (const one of others) t.equal(codeOf(await attempt(one)), '201')
  },
)

// Time moves from here on: the administrator’s session does not last as long.
const [late, later] = [await somebody(), await somebody()]

// Bites: `counted` in src/identity/attempts.ts; the advisory lock of countAttempt.
t.test('INV-70: of 200 wrong sign-ins at once on a device no more than the limit are checked', async (t) => {
  const person = late
  let codes: Record<string, number> = {}
  const checked = await checks(async () => {
    codes = await crowdOf(200, () => attempt(person, { passphrase: wrong }))
    // Those who were told to come again do, until nobody is.
    while ((await crowdOf(15, () => attempt(person, { passphrase: wrong })))['503 OVERLOADED'] !== undefined);
  })
  t.equal(checked, limit)
  t.strictSame(
    Object.keys(codes).filter((code) => !['401 SIGN_IN_REFUSED', '503 OVERLOADED'].includes(code)),
    [],
  )
  t.equal(await checks(async () => t.equal(codeOf(await attempt(person)), '401 SIGN_IN_REFUSED', 'nor a right one')), 0)
  server.clock.advance(16 * minute)
  t.equal(codeOf(await attempt(person)), '201', 'and then it is open again')
})

// Bites: `counted` not being entered beyond the limit in countAttempt.
t.test('INV-70: whoever tries on while a door is shut does not keep it shut', async (t) => {
  const person = later
  for (let i = 0; i < limit; i++) await attempt(person, { passphrase: wrong })
  for (let minutes = 0; minutes < 14; minutes += 2) {
    server.clock.advance(2 * minute)
    t.equal(codeOf(await attempt(person)), '401 SIGN_IN_REFUSED')
  }
  server.clock.advance(2 * minute)
  t.equal(codeOf(await attempt(person)), '201')
})
