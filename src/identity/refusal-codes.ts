/**
 * The codes that every act in the directory may be refused with: the rows of the caller are read
 * again once they are locked.
 */
export const inDirectory = ['DEVICE_NOT_CERTIFIED', 'FORBIDDEN'] as const

/** The codes of acts in the directory that ask for a recent proof of who the caller is. */
export const afterProof = [...inDirectory, 'STEP_UP_REQUIRED'] as const
