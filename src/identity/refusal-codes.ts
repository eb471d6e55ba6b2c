/**
 * With what every act in the directory may be refused: its rows are read again once they are
 * locked.
 */
export const inDirectory = ['DEVICE_NOT_CERTIFIED', 'FORBIDDEN'] as const

/** The same for acts that ask for a recent proof of who one is. */
export const afterProof = [...inDirectory, 'STEP_UP_REQUIRED'] as const
