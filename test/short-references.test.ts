// What this holds: people name messages, threads, people and organizations by what they can type,
// and each such word names one thing or is refused with the things that it could name.
import t from 'tap'
import { choose, shortId, type Choice } from '../src/cli/choice.ts'
import { CommandFailure } from '../src/cli/failures.ts'
import { findMessage, numberIn } from '../src/cli/threads.ts'
import type { Message } from '../src/client/index.ts'

const uuid = (end: string) => `0198c9a2-0000-7000-8000-${end.padStart(12, '0')}`

function said(index: number, thread: string, end: string): Message {
  return { index, thread: uuid(thread), id: uuid(end) } as Message
}

const messages = [
  said(41, 'a41', 'b00aa1'),
  said(45, 'a45', 'b00aa2'),
  said(49, 'a41', 'b00aa3'),
  said(57, 'abcd57', 'c0ffee'),
  said(58, 'abcd57', '1c0ffee'),
]

const found = (word: string) => findMessage(messages, word).index

// Bites: findMessage, numberIn
t.test('a message has its number, a thread that of its first message, and each message finds its thread', async (t) => {
  for (const word of ['49', '#49', ' #49 ', uuid('b00aa3'), uuid('b00aa3').toUpperCase(), 'b00aa3', '…00b00aa3'])
    t.equal(found(word), 49, word)
  for (const word of ['@41', '@49', uuid('a41')]) t.equal(found(word), 41, word)
  t.equal(found('@58'), 57)
  t.equal(found('abcd57'), 57, 'the end of the id of a thread')
  for (const word of ['50', '#50', '@50', '@', '#', '4', 'b00aa', '49a', '-49', '4.9', uuid('b00aa9')])
    t.throws(() => found(word), CommandFailure, word)
  t.throws(() => found('c0ffee'), { message: /Several messages .*: #57, #58\. Give a number\./ })
  t.equal(numberIn('#007'), 7)
  t.equal(numberIn('1e3'), undefined)
})

// Bites: choose, shortId
t.test('people and organizations are named by name; where two fit, both are named', async (t) => {
  const people: Choice[] = [
    { id: uuid('aaaa01'), name: 'Wanjiru Kamau', of: 'Kenya Revenue Authority' },
    { id: uuid('aaaa02'), name: 'Wanjiru Kamau', of: 'Thai Customs' },
    { id: uuid('bbbb03'), name: 'Wanjiru Otieno', of: 'Thai Customs' },
    { id: uuid('aaaa04'), name: 'facade', of: 'Thai Customs' },
  ]
  const chosen = (word: string) => choose('member', word, people).id.slice(-2)
  t.throws(() => chosen('wanjiru kamau'), {
    message:
      /Several members .*Wanjiru Kamau \(Kenya Revenue Authority, …00aaaa01\), Wanjiru Kamau \(Thai Customs, …00aaaa02\)/,
  })
  t.equal(chosen('thai customs/wanjiru kamau'), '02')
  t.equal(chosen('Wanjiru O'), '03')
  t.equal(chosen('aaaa01'), '01')
  t.equal(chosen('…00AAAA02'), '02')
  t.equal(chosen('...00aaaa02'), '02')
  t.equal(chosen(uuid('bbbb03')), '03')
  t.equal(chosen('facade'), '04', 'a name counts before the end of an id')
  for (const word of ['a01', '01', 'aaaa', 'thai customs', 'thai customs/wanjiru', ''])
    t.throws(() => chosen(word), CommandFailure, word)
  for (const { id } of people) t.equal(choose('member', shortId(id), people).id, id, 'what is shown can be typed')
  const thumbprint = '8CDYE9hGLongEnoughToBeTheThumbprintOfADevice'
  const devices = [{ id: thumbprint, name: thumbprint }]
  t.equal(choose('device', shortId(thumbprint), devices).id, thumbprint)
})
