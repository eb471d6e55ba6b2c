// What this holds: whoever has no device of a person cannot tell by the answers of sign-in, nor by
// how long they take, whether there is such a person or such a device (C9). Bounded, texts are
// compared and times only told; whole, the times too must not part.
// What makes it fail: looking a person up before the device is proven, or `nobodysKey` of
// src/identity/device-proof.ts.
import t from 'tap'
import { Argon2Process, Passphrases } from '../src/identity/index.ts'
import { howMany, patience, whole } from './support/counts.ts'
import { startServer } from './support/server.ts'
import { attempt, type SignInAttempt } from './support/sign-in.ts'
import { WireActor, codeOf, freshId, newcomer, setUp } from './support/wire.ts'

const samples = howMany(100, 2_000)
const warming = howMany(20, 200)

/**
 * How often a time of the first kind is longer than one of the second: 0.5 where nobody can tell
 * them apart (Mann and Whitney's U, as a share).
 */
function areaUnderCurve(first: readonly number[], second: readonly number[]): number {
  const all = [...first.map((time) => ({ time, ours: true })), ...second.map((time) => ({ time, ours: false }))].sort(
    (a, b) => a.time - b.time,
  )
  let rank = 0
  all.forEach(({ ours }, i) => {
    if (ours) rank += i + 1
  })
  return (rank - (first.length * (first.length + 1)) / 2) / (first.length * second.length)
}

t.test('the area is told rightly', async (t) => {
  t.equal(areaUnderCurve([3, 4], [1, 2]), 1)
  t.equal(areaUnderCurve([1, 2], [3, 4]), 0)
  t.equal(areaUnderCurve([1, 4], [2, 3]), 0.5)
})

t.test('INV-73: who exists cannot be told from sign-in', patience, async (t) => {
  const server = await startServer(t, {
    logLevel: 'silent',
    quotas: { 'source-sign-in': 100_000 },
    passphrases: new Passphrases(2, new Argon2Process(2, (what) => t.fail(what))),
  })
  const { administrator } = await setUp(server)
  const organization = freshId()
  await administrator.must('POST', '/v1/organizations', { id: organization, kind: 'rilo', name: 'RILO' })
  const person = await newcomer(administrator, { name: 'Somebody', organization, tier: 'ncp' })
  const stranger = await new WireActor(server, 'Stranger').prepare()
  const other = await new WireActor(server, 'Other stranger').prepare()
  const { signKey } = stranger.device
  const nobody = freshId()
  const pairs: Record<string, [there: SignInAttempt, notThere: SignInAttempt]> = {
    'a person': [{ person: person.person }, { person: nobody }],
    'a person on a device': [
      { person: person.person, device: { id: person.device.id, signKey } },
      { person: nobody, device: { id: other.device.id, signKey } },
    ],
  }
  for (const [what, pair] of Object.entries(pairs)) {
    const times: [number[], number[]] = [[], []]
    const answers = new Set<string>()
    const rounds = warming + samples
    for (let round = 0; round < rounds; round++) {
      const order = round % 2 === 0 ? ([0, 1] as const) : ([1, 0] as const)
      for (const which of order) {
        const began = performance.now()
        const answer = await attempt(stranger, pair[which])
        const took = performance.now() - began
        if (round >= warming) times[which].push(took)
        const headers = [...answer.headers.keys()].sort().join()
        answers.add(`${codeOf(answer)} ${answer.text} ${headers}`)
      }
    }
    t.equal(answers.size, 1, `${what}: one answer`)
    t.match([...answers][0], /^401 SIGN_IN_REFUSED/)
    const area = areaUnderCurve(...times)
    t.comment(`${what}: AUC ${area.toFixed(3)} over ${String(samples)} samples of each`)
    if (whole) t.ok(area > 0.45 && area < 0.55, `${what}: times that cannot be told apart`)
  }
})
