// What this holds: the words of private details are found in the form in which words are looked
// for, and the database leaves out no entry that has them.
// What makes it fail: a pattern for the database that knows ASCII alone.
import t from 'tap'
import { hasWords, patternsOf, wordsOf } from '../src/log/words.ts'

// Bites: `searchForm` in `wordsOf`, and `hasWords`, which looks once more where JSON escapes.
t.test('words are whole words, without accents and with the letters of other keyboards', async (t) => {
  t.same(wordsOf('MSKU-1234567/b, café_9'), ['msku', '1234567', 'b', 'cafe', '9'])
  for (const [text, typed] of [
    ['ÉCOLE', 'école'],
    ['İzmir', 'IZMIR'],
    ['Kilo', 'kilo'],
    ['проверка', 'ПРОВЕРКА'],
    ['bell\u0007ow', 'bellow'],
    ['ﬁne', 'fine'],
  ] as const) {
    const details = JSON.stringify({ text })
    t.ok(hasWords(details, wordsOf(typed)), text)
    const fits = patternsOf(wordsOf(typed)).every((like) => details.toLowerCase().includes(like.slice(1, -1)))
    t.ok(fits || /[^\u0020-\u007e]|\\/.test(details), `the database does not leave out ${text}`)
  }
  t.notOk(hasWords('not json', ['json']))
})
