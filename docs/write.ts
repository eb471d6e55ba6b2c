import { writeFileSync } from 'node:fs'
import { describeSettings } from '../src/config.ts'
import { describeAccess, describeForms, describeProblems, describeUnits } from './pages.ts'

// `npm run docs`: the pages that are written from the source.
const pages = {
  'configuration.md': describeSettings(),
  'access.md': describeAccess(),
  'problems.md': describeProblems(),
  'forms.json': describeForms(),
  'units.md': describeUnits(),
}
for (const [name, text] of Object.entries(pages)) writeFileSync(new URL(name, import.meta.url), text)
