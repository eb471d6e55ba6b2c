import { Type } from 'typebox'

const Digest = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'SHA-256 of its credential id.' })
const exactly = { additionalProperties: false }
const Passphrase = Type.String({ minLength: 1, maxLength: 512 })
const Code = Type.String({ minLength: 6, maxLength: 40, description: 'Six digits of an app, or a recovery code.' })
const Base64url = (most: number) => Type.String({ minLength: 1, maxLength: most, pattern: '^[A-Za-z0-9_-]+$' })
const Extensions = Type.Object(
  { credProps: Type.Optional(Type.Object({ rk: Type.Optional(Type.Boolean()) }, exactly)) },
  exactly,
)
const nullableTime = Type.Union([Type.String({ maxLength: 30 }), Type.Null()])
const PasskeyId = Base64url(1_400)

const credential = {
  id: PasskeyId,
  rawId: PasskeyId,
  type: Type.Literal('public-key'),
  authenticatorAttachment: Type.Optional(Type.Union([Type.String({ maxLength: 32 }), Type.Null()])),
  clientExtensionResults: Extensions,
}

/** AuthenticationResponseJSON of WebAuthn, level 3. */
export const PasskeyAnswer = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64url(4_096),
        authenticatorData: Base64url(4_096),
        signature: Base64url(1_024),
        userHandle: Type.Optional(Base64url(128)),
      },
      exactly,
    ),
  },
  exactly,
)

/** RegistrationResponseJSON of WebAuthn, level 3. */
const NewPasskey = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64url(4_096),
        attestationObject: Base64url(16_384),
        authenticatorData: Type.Optional(Base64url(8_192)),
        transports: Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 })),
        publicKey: Type.Optional(Base64url(4_096)),
        publicKeyAlgorithm: Type.Optional(Type.Integer()),
      },
      exactly,
    ),
  },
  exactly,
)

export const knowledge = { passphrase: Type.Optional(Passphrase), passkey: Type.Optional(PasskeyAnswer) }
/**
 * What proves who somebody is: a passkey's answer, or a passphrase with a code where there is a
 * second factor.
 */
export const evidence = { ...knowledge, code: Type.Optional(Code) }
export const StepUp = Type.Object(evidence, { ...exactly, minProperties: 1 })
export const SteppedUp = Type.Object({ verifiedAt: Type.String({ maxLength: 30 }) })
export const SetPassphrase = Type.Object({ passphrase: Passphrase }, exactly)
export const ConfirmTotp = Type.Object({ code: Code }, exactly)
export const TotpSheet = Type.Object({
  secret: Type.String({ maxLength: 1_000, description: 'Base 32, for apps without a camera.' }),
  uri: Type.String({ maxLength: 1_000, description: 'otpauth://, for a QR code.' }),
})
export const RecoveryCodes = Type.Object({
  recoveryCodes: Type.Array(Type.String({ maxLength: 100 }), { maxItems: 20 }),
})
export const Factors = Type.Object({
  passphrase: Type.Union([Type.Object({ setAt: Type.String({ maxLength: 30 }) }), Type.Null()]),
  totp: Type.Union([Type.Object({ confirmedAt: Type.String({ maxLength: 30 }) }), Type.Null()]),
  recoveryCodes: Type.Integer({ description: 'How many are left.' }),
  passkeys: Type.Array(
    Type.Object({
      id: Digest,
      name: Type.String({ maxLength: 200 }),
      addedAt: Type.String({ maxLength: 30 }),
      lastUsedAt: nullableTime,
    }),
  ),
})
/** What a browser's `navigator.credentials` takes (WebAuthn, level 3): options as JSON. */
export const PasskeyOptions = Type.Object(
  { challenge: Type.String({ maxLength: 1000 }) },
  { additionalProperties: true, description: 'Options as WebAuthn defines them in JSON.' },
)
export const AddPasskey = Type.Object(
  {
    name: Type.String({ minLength: 1, maxLength: 100, pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$' }),
    response: NewPasskey,
  },
  exactly,
)
export const PasskeyAdded = Type.Object({ id: Digest })
export const OnePasskey = Type.Object({ passkey: Digest })
