// What stands behind # comes from whoever made the link. It says which of two questions the browser asks and to which port of this very machine
// the answer goes; none of it is shown. docs/decisions/0042 says what that leaves to somebody who sends such a link.
const questions = new Map([
  [
    'create',
    {
      title: 'Add a passkey to your account',
      text: 'The cordon command on this computer asked for it. Your browser will ask where to keep the passkey (on this device, on a telephone or on a security key), and check that it is you.',
      button: 'Add a passkey',
      relyingParty: ({ rp }) => rp?.id,
      read: (options) => PublicKeyCredential.parseCreationOptionsFromJSON(options),
      ask: (publicKey) => navigator.credentials.create({ publicKey }),
    },
  ],
  [
    'get',
    {
      title: 'Sign in with your passkey',
      text: 'The cordon command on this computer asks who you are. Your browser will ask for your fingerprint, your face, a PIN or a security key.',
      button: 'Sign in',
      relyingParty: ({ rpId }) => rpId,
      read: (options) => PublicKeyCredential.parseRequestOptionsFromJSON(options),
      ask: (publicKey) => navigator.credentials.get({ publicKey }),
    },
  ],
])
const texts = {
  damaged:
    'This address is not whole. Copy once more the address that the command printed, from its first to its last character.',
  unable: 'This browser offers no passkeys here. Use a newer one, and reach the service under https.',
  asking: 'Your browser asks you now.',
  handed: 'The answer goes to the command on this computer. If nothing follows, the command has ended: start it again.',
}

const part = (id) => document.getElementById(id)
const say = (id, text) => {
  part(id).textContent = text
}

/** What an address asks for; undefined where it is not one that a command printed for this service. */
function readTask(fragment) {
  const given = new URLSearchParams(fragment)
  const question = questions.get(given.get('do'))
  const [port, state] = [given.get('port') ?? '', given.get('state') ?? '']
  if (!question || !/^[1-9]\d{3,4}$/.test(port) || Number(port) < 1024 || Number(port) > 65_535) return undefined
  if (!/^[A-Za-z0-9_-]{43}$/.test(state)) return undefined
  try {
    const options = JSON.parse(fromBase64url(given.get('options') ?? ''))
    if (question.relyingParty(options) !== location.hostname) return undefined
    return { ...question, port: Number(port), state, options: question.read(options) }
  } catch {
    return undefined
  }
}

function fromBase64url(text) {
  const bytes = atob(text.replaceAll('-', '+').replaceAll('_', '/'))
  return new TextDecoder('utf-8', { fatal: true }).decode(Uint8Array.from(bytes, (char) => char.charCodeAt(0)))
}

async function answerTo({ ask, options }) {
  try {
    const credential = await ask(options)
    // No extension was of use to anybody, and some programs that keep passkeys say more there than was asked.
    return { answer: JSON.stringify({ ...credential.toJSON(), clientExtensionResults: {} }) }
  } catch (error) {
    return { error: error instanceof Error ? error.name : 'Error' }
  }
}

/** A form, because a page may post one to the machine that it is shown on and to nothing else (form-action), and reads no answer. */
function handOver({ port, state }, answer) {
  const form = document.createElement('form')
  form.method = 'post'
  form.action = `http://127.0.0.1:${port}/`
  for (const [name, value] of Object.entries({ state, ...answer })) {
    const field = document.createElement('input')
    Object.assign(field, { type: 'hidden', name, value })
    form.append(field)
  }
  document.body.append(form)
  form.submit()
}

const go = part('go')
let task

function begin() {
  say('service', location.host)
  const able = globalThis.PublicKeyCredential?.parseCreationOptionsFromJSON !== undefined
  task = able ? readTask(location.hash.slice(1)) : undefined
  say('title', task?.title ?? 'Passkey')
  say('text', task?.text ?? (able ? texts.damaged : texts.unable))
  say('go', task?.button ?? '')
  part('aside').hidden = go.hidden = task === undefined
  go.disabled = false
  // Neither a bookmark nor the list of visited pages needs the question.
  if (task) history.replaceState(null, '', location.pathname)
}

go.addEventListener('click', () => {
  const asked = task
  go.disabled = true
  say('text', texts.asking)
  void answerTo(asked).then((answer) => {
    say('text', texts.handed)
    handOver(asked, answer)
  })
})
addEventListener('hashchange', begin)
begin()
