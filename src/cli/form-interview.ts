import { codeLists, newestForm, writingRule, type CodeListName, type Form, type FormId } from '../forms/index.ts'
import type { ClientStore } from '../client/index.ts'
import { Interrupted } from './asking.ts'
import { areFew, listCodes, readAnswer, wholeName, type CodeChoice } from './form-answers.ts'
import { questionsOf, type FormAnswer, type AskedFor, type Question, type WrittenForm } from './form-questions.ts'
import { harmlessLine, isolated, type Terminal } from './terminal.ts'
import { timesIn } from './words.ts'

/** What an interview knows of the operation for which a message is written. */
export interface InterviewPlace {
  readonly operation: string
  readonly reference: string
  readonly timeZone: string
  /** The message that the new one refers to, and how; undefined where it refers to none. */
  readonly refersTo?: string
  /** The command line that the person gave, to be given again. */
  readonly commandLine: string
  /** The answers that are offered, by the pointer of the question. */
  readonly offered: Readonly<Record<string, string>>
  /** Says why a word names no message that such a message may answer; undefined: it does. */
  readonly refuseReply: (word: string) => string | undefined
}

/** The answers of a message that is not sent yet, as the store keeps them, sealed with the rest. */
interface KeptDraft {
  readonly form: FormId
  readonly version: number
  /** When the last question was answered, RFC 3339. */
  readonly at: string
  readonly commandLine: string
  readonly answers: Readonly<Record<string, FormAnswer>>
}

const back = '<'

/**
 * Writes the fields of a form by asking a person, field by field. The answers so far are kept in
 * the store, so that the next interview goes on with them after an interruption.
 */
export class FormInterview {
  readonly #terminal: Terminal
  readonly #store: ClientStore
  readonly #place: InterviewPlace
  readonly #form: Form
  readonly #name: string
  #answers: Record<string, FormAnswer> = {}
  /** What was answered before the person went back: it is offered. */
  readonly #before: Record<string, string> = {}

  constructor(terminal: Terminal, store: ClientStore, place: InterviewPlace, form: FormId) {
    this.#terminal = terminal
    this.#store = store
    this.#place = place
    this.#form = newestForm(form)
    // A correction that was begun is never sent as a new message.
    this.#name = ['draft', place.operation, form, ...(place.refersTo === undefined ? [] : [place.refersTo])].join('/')
  }

  /**
   * Asks until the person agrees to what `agree` shows; undefined where the person does not want to
   * send it. Throws Interrupted; the answers stay in the store.
   */
  async write(asked: AskedFor, agree: (written: WrittenForm) => Promise<string>): Promise<WrittenForm | undefined> {
    await this.#load()
    this.#terminal.note(introduction)
    try {
      for (;;) {
        const { question, visited, written } = this.#next(asked)
        const answer = question === undefined ? await agree(written as WrittenForm) : await this.#ask(question)
        if (answer === back) await this.#goBack(visited)
        else if (question !== undefined) await this.#keep(question, answer as FormAnswer)
        else return answer === 'yes' ? written : undefined
      }
    } catch (error) {
      if (error instanceof Interrupted && Object.keys(this.#answers).length > 0)
        this.#terminal.note(`Kept, sealed in the store. To go on with it: ${this.#place.commandLine}`)
      throw error
    }
  }

  /** Forgets the answers, once the message is sent or kept as one to send. */
  async forget(): Promise<void> {
    await this.#store.write([{ name: this.#name, value: undefined }])
  }

  async #load(): Promise<void> {
    const kept = (await this.#store.get(this.#name)) as KeptDraft | undefined
    if (kept === undefined) return
    if (kept.version !== this.#form.version) return this.forget()
    const what = `${this.#form.id} for ${isolated(this.#place.reference)}`
    const when = timesIn(this.#place.timeZone)(kept.at)
    this.#terminal.note(`You have begun a ${what} that is not sent, ${when}.`)
    if (kept.commandLine !== this.#place.commandLine)
      this.#terminal.note(`It was begun with other options: ${kept.commandLine}`)
    const goesOn = await this.#askYesOrNo('Go on with it? (yes, or no to throw it away) ')
    if (goesOn) this.#answers = { ...kept.answers }
    else await this.forget()
  }

  async #askYesOrNo(question: string): Promise<boolean> {
    for (;;) {
      const word = (await this.#terminal.ask(question)).trim()
      if (/^y(es)?$/i.test(word)) return true
      if (/^no?$/i.test(word)) return false
      this.#terminal.note('Answer yes or no.')
    }
  }

  /** The first question that has no answer yet, and those before it; or what is written. */
  #next(asked: AskedFor): { question?: Question; written?: WrittenForm; visited: readonly Question[] } {
    const visited: Question[] = []
    const asking = questionsOf(this.#form, asked)
    for (let step = asking.next(); ;) {
      if (step.done) return { written: step.value, visited }
      const answer = this.#answers[step.value.pointer]
      if (answer === undefined) return { question: step.value, visited }
      visited.push(step.value)
      step = asking.next(answer)
    }
  }

  async #keep({ pointer }: Question, answer: FormAnswer): Promise<void> {
    this.#answers[pointer] = answer
    await this.#save()
  }

  async #goBack(visited: readonly Question[]): Promise<void> {
    const last = visited.at(-1)
    if (last === undefined) return this.#terminal.note('This is the first question.')
    const answer = this.#answers[last.pointer]
    if (typeof answer === 'object') this.#before[last.pointer] = typedWord(answer.value)
    delete this.#answers[last.pointer]
    await this.#save()
  }

  async #save(): Promise<void> {
    const { id: form, version } = this.#form
    const { commandLine } = this.#place
    const value: KeptDraft = { form, version, at: new Date().toISOString(), commandLine, answers: this.#answers }
    await this.#store.write([{ name: this.#name, value }])
  }

  /** Asks one question until what is typed is an answer, or a step back. */
  async #ask(question: Question): Promise<FormAnswer | typeof back> {
    const offered = this.#before[question.pointer] ?? this.#place.offered[question.pointer] ?? usualAnswer(question)
    let shown = areFew(question) ? this.#show(listCodes(question)) : []
    for (;;) {
      const typed = await this.#typed(promptOf(question, offered))
      const word = typed.trim()
      if (word === back) return back
      if (word === '?') {
        shown = this.#show(listCodes(question) ?? { choices: [], said: helpFor(question) })
        continue
      }
      const left = this.#leftOut(question, word, offered)
      if (left === 'required') continue
      if (left !== undefined) return left
      const read = readAnswer(this.#form, question, word === '' ? (offered ?? '') : typed, shown)
      if ('choices' in read) shown = this.#show(read)
      else if ('refusal' in read) this.#terminal.note(read.refusal)
      else if (this.#isRefused(question, read.answer)) continue
      else return this.#said(question, read.answer)
    }
  }

  /** Reads an answer; a line that ends in a backslash goes on with the next one. */
  async #typed(prompt: string): Promise<string> {
    let text = await this.#terminal.ask(prompt, { back })
    while (text.endsWith('\\')) {
      const next = await this.#terminal.ask('… ', { back })
      if (next === back) return back
      text = `${text.slice(0, -1)}\n${next}`
    }
    return text
  }

  /** The answer of a person who leaves a question out; undefined where there is another answer. */
  #leftOut(
    { kind, required }: Question,
    word: string,
    offered: string | undefined,
  ): FormAnswer | 'required' | undefined {
    const leaves = word === '-' || word === '.' || (word === '' && offered === undefined)
    if (!leaves) return undefined
    if (required) {
      this.#terminal.note('This is required: it cannot be left out.')
      return 'required'
    }
    if (word === '.') return 'rest'
    return kind === 'gate' ? { value: false } : 'none'
  }

  #isRefused({ kind }: Question, answer: FormAnswer): boolean {
    const refusal =
      kind === 'reply' && typeof answer === 'object' ? this.#place.refuseReply(String(answer.value)) : undefined
    if (refusal !== undefined) this.#terminal.note(refusal)
    return refusal !== undefined
  }

  /** Says back what a code stands for. */
  #said({ schema }: Question, answer: FormAnswer): FormAnswer {
    if (schema.codes !== undefined && typeof answer === 'object') {
      const list = schema.codes as CodeListName
      const code = String(answer.value)
      this.#terminal.note(`  ${wholeName(list, code)} (${code})`)
    }
    return answer
  }

  #show(listed: { readonly choices: readonly CodeChoice[]; readonly said: string } | undefined) {
    for (const { key, name, code } of listed?.choices ?? [])
      this.#terminal.note(`  ${key.padStart(2)}  ${name}${key === code ? '' : ` (${code})`}`)
    if (listed !== undefined) this.#terminal.note(`  ${listed.said}`)
    return listed?.choices ?? []
  }
}

const introduction =
  'Enter leaves a field out, or takes the answer in [brackets]; - leaves it out in any case. ? lists codes or says more; < or Ctrl-Z goes back; . leaves out all that is not required. Ctrl-C ends; the answers are kept, sealed.'

/** What the service counts, a message has as a rule: the goods of a seizure. */
const usualAnswer = ({ kind, clear, path }: Question) =>
  kind === 'gate' && clear && path.at(-1) === 0 ? 'yes' : undefined

function promptOf({ label, required, clear, kind, schema }: Question, offered: string | undefined): string {
  const marks = [required ? 'required' : '', clear && kind === 'field' ? 'in the clear' : ''].filter(
    (one) => one !== '',
  )
  const about = kind === 'gate' ? ['yes or no'] : marks
  const words = offered === undefined ? (kind === 'gate' ? 'no' : '') : offeredWords(schema.codes, offered)
  const brackets = words === '' ? '' : ` [${harmlessLine(words)}]`
  return `${label}${about.length === 0 ? '' : ` (${about.join(', ')})`}${brackets}: `
}

function offeredWords(codes: string | undefined, offered: string): string {
  if (codes === undefined) return offered
  const isKnown = codeLists[codes as CodeListName].codes.has(offered)
  return isKnown ? `${wholeName(codes as CodeListName, offered)} (${offered})` : offered
}

const typedWord = (value: string | number | boolean) =>
  typeof value === 'boolean' ? (value ? 'yes' : 'no') : String(value)

function helpFor({ schema, kind }: Question): string {
  if (kind === 'reply') return 'The number that cordon read shows before a message.'
  if (schema.format === 'date') return 'A day, such as 2026-11-30.'
  if (schema.type === 'boolean') return 'Yes or no.'
  if (schema.type === 'integer') return `A whole number from ${String(schema.minimum)} to ${String(schema.maximum)}.`
  if (schema.pattern !== undefined && schema.minLength === undefined) return writingRule(schema.pattern)
  return `Text of at most ${String(schema.maxLength ?? 200)} characters. A line that ends in \\ goes on with the next one; pasted lines stay together.`
}
