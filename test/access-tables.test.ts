// What this holds: every cell of the three access tables, as the design gives them, is what the
// pure rules answer.
import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  isPermission,
  isRole,
  isState,
  may,
  mayHold,
  nextStates,
  organizationKinds,
  permissions,
  roles,
  rolesGrantableBy,
  seesKind,
  states,
} from '../src/access.ts'
import type { OrganizationKind, Permission, Role, State } from '../src/access.ts'

interface Cell {
  row: string
  column: string
  value: string
}

function cellsOf(name: string): Cell[] {
  const text = readFileSync(new URL(`tables/${name}`, import.meta.url), 'utf8')
  const [head = '', ...lines] = text.trimEnd().split(/\r?\n/)
  const columns = head.split(',').slice(1)
  return lines.flatMap((line) => {
    const [row = '', ...values] = line.split(',')
    if (values.length !== columns.length) throw new Error(`${name}: ${row} has ${values.length} cells`)
    return values.map((value, n) => ({ row, column: columns[n] ?? '', value }))
  })
}

const roleCells = cellsOf('access-roles.csv')
const stateCells = cellsOf('access-states.csv')
const entryCells = cellsOf('access-entries.csv')

t.test('INV-13: every cell of the table of roles', async (t) => {
  t.equal(roleCells.length, permissions.length * roles.length)
  for (const { row, column, value } of roleCells)
    t.equal(may(column as Role, row as Permission, 'active').role, value, `${row} for ${column}`)
})

t.test('INV-13: every cell of the table of states', async (t) => {
  t.equal(stateCells.length, permissions.length * states.length)
  for (const { row, column, value } of stateCells)
    t.equal(may('coordinator', row as Permission, column as State).state, value === 'yes', `${row} in ${column}`)
})

t.test('INV-13: every cell of the table of entries', async (t) => {
  for (const { row, column, value } of entryCells) {
    const kind = row.replace('*', 'something')
    t.equal(seesKind(column as Role, kind), value, `${kind} for ${column}`)
  }
})

t.test('an act is allowed only where both tables say so', async (t) => {
  const open = new Map(stateCells.map((cell) => [`${cell.row} ${cell.column}`, cell.value === 'yes']))
  for (const { row, column, value } of roleCells)
    for (const state of states)
      t.equal(
        may(column as Role, row as Permission, state).allowed,
        value !== 'no' && open.get(`${row} ${state}`) === true,
        `${row} for ${column} in ${state}`,
      )
})

t.test('a kind without a row is shown to auditors only', async (t) => {
  const kinds = [
    'disclosure.requested',
    'operation',
    'operationx.created',
    '',
    '.',
    'toString',
    'message.posted.twice',
    '*',
    'access.granted',
  ]
  for (const kind of kinds)
    for (const role of roles) t.equal(seesKind(role, kind), role === 'auditor' ? 'yes' : 'no', `${kind} for ${role}`)
})

t.test('an exact row beats a pattern', async (t) => {
  t.equal(seesKind('officer', 'attachment.stored'), 'compartment')
  t.equal(seesKind('coordinator', 'attachment.opened'), 'no')
  t.equal(seesKind('officer', 'feed.closed'), 'no')
})

t.test('what does not exist is an error, never a rule that does not match', async (t) => {
  for (const name of ['message.reed', 'toString', '__proto__', ''])
    t.throws(() => may('coordinator', name as Permission, 'active'), RangeError, `permission ${name}`)
  for (const name of ['admin', 'Coordinator', ''])
    t.throws(() => may(name as Role, 'message.read', 'active'), RangeError, `role ${name}`)
  for (const name of ['Active', 'deleted', ''])
    t.throws(() => may('coordinator', 'message.read', name as State), RangeError, `state ${name}`)
  t.throws(() => seesKind('admin' as Role, 'message.posted'), RangeError)
  for (const value of [undefined, null, 1, {}, 'constructor', ['message.read']]) {
    t.equal(isPermission(value), false)
    t.equal(isRole(value), false)
    t.equal(isState(value), false)
  }
})

t.test('an organization bounds the roles of its people', async (t) => {
  const expected: Record<OrganizationKind, string> = {
    administration: 'coordinator ncp officer observer',
    rilo: 'coordinator analyst observer auditor',
    secretariat: 'coordinator analyst observer auditor',
    partner: 'partner observer',
    'right-holder': 'right-holder',
  }
  t.same(Object.keys(organizationKinds).toSorted(), Object.keys(expected).toSorted())
  for (const [kind, list] of Object.entries(expected))
    for (const role of roles)
      t.equal(mayHold(kind as OrganizationKind, role), list.split(' ').includes(role), `${role} of ${kind}`)
})

t.test('only coordinators and NCPs grant, and an NCP only ncp and officer at home', async (t) => {
  t.same(rolesGrantableBy('coordinator'), { scope: 'any', roles })
  t.same(rolesGrantableBy('ncp'), { scope: 'own', roles: ['ncp', 'officer'] })
  t.same(rolesGrantableBy('ncp', 'service'), { scope: 'own', roles: ['officer'] })
  for (const role of roles) {
    if (role === 'coordinator' || role === 'ncp') continue
    t.same(rolesGrantableBy(role), { scope: 'none', roles: [] }, role)
  }
})

t.test('states go forward one step, and back only from rehearsal to draft', async (t) => {
  const allowed = new Set([
    'draft rehearsal',
    'rehearsal active',
    'rehearsal draft',
    'active reporting',
    'reporting closed',
    'closed archived',
  ])
  for (const from of states)
    for (const to of states) t.equal(nextStates(from).includes(to), allowed.has(`${from} ${to}`), `${from} to ${to}`)
  t.same(nextStates('nowhere' as State), [])
})
