import * as protocol from '../../src/protocol/index.ts'
import { certify, enrolInvited, inDays, invite, newcomer, now, type Answer, type WireActor } from './wire.ts'

type Measure = (act: () => Promise<Answer>) => Promise<Answer>
type Exercise = (measured: Measure) => Promise<unknown>

/** How to make each route of certificates do what it is for, by an NCP for people of its own. */
export function certificateDuties(ncp: WireActor): Readonly<Record<string, Exercise>> {
  const somebody = (inviter = ncp, tier: 'person' | 'ncp' = 'person') =>
    newcomer(inviter, { name: 'Somebody', organization: ncp.organization, tier })
  return {
    'POST /v1/certificates': async (measured) => {
      const invited = await invite(ncp, { name: 'Is certified', organization: ncp.organization })
      await enrolInvited(invited)
      await measured(async () => {
        await certify(ncp, invited)
        return { status: 201 } as Answer
      })
    },
    'POST /v1/certificates/proofs': (measured) =>
      measured(() => ncp.call('POST', '/v1/certificates/proofs', { certificates: [ncp.crt] })),
    'GET /v1/renewals': (measured) => measured(() => ncp.call('GET', '/v1/renewals')),
    'POST /v1/renewals': async (measured) => {
      const invited = await invite(ncp, { name: 'Is renewed', organization: ncp.organization })
      await enrolInvited(invited)
      const until = (days: number) =>
        protocol.issueCertificate(ncp.device, {
          keys: invited.actor.device.keys,
          person: invited.actor.person,
          organization: ncp.organization,
          tier: invited.tier,
          issuedAt: now(),
          expiresAt: inDays(days),
        })
      await ncp.must('POST', '/v1/certificates', { certificate: await until(30) })
      const certificate = await until(365)
      await measured(() => ncp.call('POST', '/v1/renewals', { certificate }))
    },
    'POST /v1/revocations': async (measured) => {
      const lost = await somebody(ncp, 'ncp')
      const compromised = now()
      await somebody(lost)
      const revocation = await protocol.signRevocation(ncp.device, lost.device.id, now(), compromised)
      await measured(() => ncp.call('POST', '/v1/revocations', { revocation }))
    },
  }
}
