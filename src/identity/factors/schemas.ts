import { Type } from 'typebox'

const DigestSchema = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$', description: 'SHA-256 of its credential id.' })
const exactly = { additionalProperties: false }
const PassphraseSchema = Type.String({ minLength: 1, maxLength: 512 })
const CodeSchema = Type.String({
  minLength: 6,
  maxLength: 40,
  description: 'Six digits of an app, or a recovery code.',
})
const Base64urlSchema = (most: number) => Type.String({ minLength: 1, maxLength: most, pattern: '^[A-Za-z0-9_-]+$' })
const ExtensionsSchema = Type.Object(
  { credProps: Type.Optional(Type.Object({ rk: Type.Optional(Type.Boolean()) }, exactly)) },
  exactly,
)
const nullableTime = Type.Union([Type.String({ maxLength: 30 }), Type.Null()])
const PasskeyIdSchema = Base64urlSchema(1_400)

const credential = {
  id: PasskeyIdSchema,
  rawId: PasskeyIdSchema,
  type: Type.Literal('public-key'),
  authenticatorAttachment: Type.Optional(Type.Union([Type.String({ maxLength: 32 }), Type.Null()])),
  clientExtensionResults: ExtensionsSchema,
}

/** AuthenticationResponseJSON of WebAuthn, level 3. */
export const PasskeyAnswerSchema = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64urlSchema(4_096),
        authenticatorData: Base64urlSchema(4_096),
        signature: Base64urlSchema(1_024),
        userHandle: Type.Optional(Base64urlSchema(128)),
      },
      exactly,
    ),
  },
  exactly,
)

/** RegistrationResponseJSON of WebAuthn, level 3. */
const NewPasskeySchema = Type.Object(
  {
    ...credential,
    response: Type.Object(
      {
        clientDataJSON: Base64urlSchema(4_096),
        attestationObject: Base64urlSchema(16_384),
        authenticatorData: Type.Optional(Base64urlSchema(8_192)),
        transports: Type.Optional(Type.Array(Type.String({ maxLength: 32 }), { maxItems: 16 })),
        publicKey: Type.Optional(Base64urlSchema(4_096)),
        publicKeyAlgorithm: Type.Optional(Type.Integer()),
      },
      exactly,
    ),
  },
  exactly,
)

export const knowledge = { passphrase: Type.Optional(PassphraseSchema), passkey: Type.Optional(PasskeyAnswerSchema) }
/**
 * What proves who a person is: a passkey's answer, or a passphrase with a code where there is a
 * second factor.
 */
export const evidence = { ...knowledge, code: Type.Optional(CodeSchema) }
export const StepUpSchema = Type.Object(evidence, { ...exactly, minProperties: 1 })
export const StepUpAnswerSchema = Type.Object({ verifiedAt: Type.String({ maxLength: 30 }) })
export const SetPassphraseSchema = Type.Object({ passphrase: PassphraseSchema }, exactly)
export const ConfirmTotpSchema = Type.Object({ code: CodeSchema }, exactly)
export const TotpSheetSchema = Type.Object({
  secret: Type.String({ maxLength: 1_000, description: 'Base 32, for apps without a camera.' }),
  uri: Type.String({ maxLength: 1_000, description: 'otpauth://, for a QR code.' }),
})
export const RecoveryCodesSchema = Type.Object({
  recoveryCodes: Type.Array(Type.String({ maxLength: 100 }), { maxItems: 20 }),
})
export const FactorsSchema = Type.Object({
  passphrase: Type.Union([Type.Object({ setAt: Type.String({ maxLength: 30 }) }), Type.Null()]),
  totp: Type.Union([Type.Object({ confirmedAt: Type.String({ maxLength: 30 }) }), Type.Null()]),
  recoveryCodes: Type.Integer({ description: 'The number that is left.' }),
  passkeys: Type.Array(
    Type.Object({
      id: DigestSchema,
      name: Type.String({ maxLength: 200 }),
      addedAt: Type.String({ maxLength: 30 }),
      lastUsedAt: nullableTime,
    }),
  ),
})
/** The options that a browser's `navigator.credentials` takes (WebAuthn, level 3), as JSON. */
export const PasskeyOptionsSchema = Type.Object(
  { challenge: Type.String({ maxLength: 1000 }) },
  { additionalProperties: true, description: 'Options as WebAuthn defines them in JSON.' },
)
export const AddPasskeySchema = Type.Object(
  {
    name: Type.String({
      minLength: 1,
      maxLength: 100,
      pattern: '^[^\\u0000-\\u001f\\u007f-\\u009f]+$',
      format: 'not-blank',
    }),
    response: NewPasskeySchema,
  },
  exactly,
)
export const NewPasskeyIdSchema = Type.Object({ id: DigestSchema })
export const OnePasskeySchema = Type.Object({ passkey: DigestSchema })
