import { may, permissions, roles, seesKind, states } from '../src/access.ts'
import { problems } from '../src/problem-catalogue.ts'
import { codeLists, forms, units, type Schema } from '../src/forms/index.ts'
import { kinds } from '../src/protocol/index.ts'

const row = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
const table = (head: readonly string[], rows: readonly (readonly string[])[]) =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n')

/** `docs/access.md`: the tables by which service and clients judge who may do and see what. */
export function describeAccess(): string {
  const byRole = permissions.map((name) => [`\`${name}\``, ...roles.map((role) => may(role, name, 'active').role)])
  const byState = permissions.map((name) => [
    `\`${name}\``,
    ...states.map((state) => (may('coordinator', name, state).state ? 'yes' : 'no')),
  ])
  const sights = kinds.map((kind) => [`\`${kind}\``, ...roles.map((role) => seesKind(role, kind))])
  return `# Access

Written from \`src/access.ts\` by \`npm run docs\`; a test keeps the two in step. An act is open to a member if the member's role
and the operation's state both say so. What \`own\` means for members and compartments stands in [\`protocol.md\`](protocol.md), section 5.

## Roles

\`own\`: of one's own organization (\`member.*\`, reports), or in a compartment that one is in (everything about compartments and messages).
\`self\`: to further devices of the same person. \`totals\`: figures as [\`forms.md\`](forms.md) says.

${table(['permission', ...roles], byRole)}

## States

${table(['permission', ...states], byState)}

## Entries

Every kind of entry there is, and which of them a role is shown; \`compartment\`: those of compartments that one is in. What only auditors are
shown may be a kind of the directory log.

${table(['kind', ...roles], sights)}
`
}

/** `docs/problems.md`: the catalogue of refusals. */
export function describeProblems(): string {
  const rows = Object.entries(problems).map(([code, { status, title, advice }]) => [
    `\`${code}\``,
    String(status),
    title,
    advice,
  ])
  return `# Problems

Written from \`src/problem-catalogue.ts\` by \`npm run docs\`; a test keeps the two in step. Decide by \`code\`: it keeps its meaning for ever.

${table(['code', 'status', 'title', 'what to do'], rows)}
`
}

/**
 * `docs/forms.json`: every form with its schema and what it puts in the clear, and the code lists
 * that schemas name.
 */
export function describeForms(): string {
  const lists = Object.entries(codeLists).map(([name, { source, codes }]) => [
    name,
    { source, codes: Object.fromEntries([...codes].map(([code, label]) => [code, label.en])) },
  ])
  const factors = Object.entries(units).map(([code, { kind, base, factor }]) => [code, { kind, base, factor }])
  const described = forms.map((form) => ({ ...form, title: form.title.en, fields: withoutLists(form.fields) }))
  return `${JSON.stringify({ forms: described, codes: Object.fromEntries(lists), units: Object.fromEntries(factors) }, null, 1)}\n`
}

/** `docs/units.md`: the units of quantities with the exact factor of each. */
export function describeUnits(): string {
  const rows = Object.entries(units).map(([code, { label, kind, base, factor }]) => [
    `\`${code}\``,
    label.en,
    kind,
    `${factor} ${base}`,
  ])
  return `# Units

Written from \`src/forms/units.ts\` by \`npm run docs\`; a test keeps the two in step. The codes are those of UN/ECE
Recommendation 20. Each factor is exact: figures multiply by it and round nothing.

${table(['code', 'unit', 'kind', 'one is exactly'], rows)}
`
}

/** A code's values stand once, in its list. */
function withoutLists({ enum: values, properties, items, ...rest }: Schema): object {
  return {
    ...rest,
    ...(values === undefined || rest.codes !== undefined ? {} : { enum: values }),
    ...(items === undefined ? {} : { items: withoutLists(items) }),
    ...(properties === undefined
      ? {}
      : {
          properties: Object.fromEntries(
            Object.entries(properties).map(([name, field]) => [name, withoutLists(field)]),
          ),
        }),
  }
}
