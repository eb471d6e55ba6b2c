import { Type, type Static } from 'typebox'
import { digestOf } from './encoding.ts'
import { parseTimestamp, type DeviceId, type Plain } from './ids.ts'
import { readStatement, signStatement, type ReadJws } from './jws.ts'
import type { Device } from './keys.ts'
import {
  compartmentId,
  digest,
  distinct,
  exactly,
  operationId,
  organizationId,
  personId,
  shape,
  time,
  uuid,
} from './shape.ts'

const role = Type.Union([
  Type.Literal('coordinator'),
  Type.Literal('analyst'),
  Type.Literal('ncp'),
  Type.Literal('officer'),
  Type.Literal('partner'),
  Type.Literal('right-holder'),
  Type.Literal('observer'),
  Type.Literal('auditor'),
])
const state = Type.Union([
  Type.Literal('draft'),
  Type.Literal('rehearsal'),
  Type.Literal('active'),
  Type.Literal('reporting'),
  Type.Literal('closed'),
  Type.Literal('archived'),
])
/** 1 in logs that began before version 2 (`memberVersion`). */
const version = Type.Union([Type.Literal(1), Type.Literal(2)])
const common = { v: version, operation: operationId, previous: Type.Union([digest, Type.Null()]), at: time }
const rules = {
  /**
   * What a newcomer may read: everything, or what was opened since the newcomer joined the
   * compartment.
   */
  history: Type.Union([Type.Literal('full'), Type.Literal('from-joining')]),
  /**
   * The members of the compartment `all` beside coordinators, analysts, NCPs and officers: two
   * roles, and service accounts by their ids.
   */
  allHolds: distinct(Type.Union([Type.Literal('partner'), Type.Literal('observer'), uuid]), { maxItems: 100 }),
}
const act = <A extends string>(name: A) => ({ act: Type.Literal(name) })

const CreateOperation = Type.Object(
  {
    ...common,
    ...act('create-operation'),
    ...rules,
    coordinators: Type.Array(Type.Object({ person: personId, organization: organizationId }, exactly), {
      minItems: 1,
      maxItems: 16,
    }),
  },
  exactly,
)
const SetOperation = Type.Object({ ...common, ...act('set-operation'), ...rules }, exactly)
const Advance = Type.Object({ ...common, ...act('advance'), state }, exactly)
const Admit = Type.Object({ ...common, ...act('admit'), person: personId, organization: organizationId, role }, exactly)
const ChangeRole = Type.Object({ ...common, ...act('change-role'), person: personId, role }, exactly)
const Wake = Type.Object({ ...common, ...act('wake'), person: personId }, exactly)
const RemovePerson = Type.Object({ ...common, ...act('remove'), person: personId }, exactly)
const RemoveOrganization = Type.Object({ ...common, ...act('remove'), organization: organizationId }, exactly)
const CreateCompartment = Type.Object(
  {
    ...common,
    ...act('create-compartment'),
    compartment: compartmentId,
    members: distinct(personId, { maxItems: 2000 }),
  },
  exactly,
)
const AddToCompartment = Type.Object(
  { ...common, ...act('add-to-compartment'), compartment: compartmentId, person: personId },
  exactly,
)
const RemoveFromCompartment = Type.Object(
  { ...common, ...act('remove-from-compartment'), compartment: compartmentId, person: personId },
  exactly,
)

/** The payload of a member statement: one act, chained to the statement before it by `previous`. */
export const MemberAct = Type.Union([
  CreateOperation,
  SetOperation,
  Advance,
  Admit,
  ChangeRole,
  Wake,
  RemovePerson,
  RemoveOrganization,
  CreateCompartment,
  AddToCompartment,
  RemoveFromCompartment,
])
export type MemberAct = Static<typeof MemberAct>

const parseAct = shape('member statement', MemberAct)

/**
 * The version of every new member statement. A statement of version 1 keeps its meaning, in
 * operations that a statement of version 1 created. Since version 2: the state of an operation is a
 * statement; a member whom a change of role or rules brings into a compartment is in it since that
 * entry and not since the admission; a member who took the role from another coordinator cannot
 * make a coordinator alone.
 */
export const memberVersion = 2

/** A member statement that was read. Chains and the log name it by its hash. */
export interface MemberStatement {
  readonly jws: ReadJws
  readonly hash: string
  readonly signer: DeviceId
  readonly crt: string
  readonly act: MemberAct
}

export function signMemberStatement(signer: Device, crt: string, act: Plain<MemberAct>): Promise<string> {
  return signStatement('cordon-member+jws', act, { kid: signer.id, key: signer.signKey, crt })
}

/** Reads a member statement without checking its signature. Throws `ProtocolError`. */
export async function readMemberStatement(text: string): Promise<MemberStatement> {
  const { jws, kid, crt, payload } = readStatement('cordon-member+jws', text)
  const act = parseAct(payload)
  parseTimestamp(act.at, 'at')
  return { jws, hash: await digestOf(jws), signer: kid as DeviceId, crt: crt ?? '', act }
}

/**
 * The newest statement of each chain that a signer knows. Message and epoch statements carry it.
 */
export const Heads = Type.Object({ operation: digest, compartment: Type.Optional(digest) }, exactly)
export type Heads = Static<typeof Heads>
