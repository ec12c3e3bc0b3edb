/** The disks of a domain are its engine's to keep, or sealed volumes of Vivarium's own, for as long as the domain is. */
export const volumes: readonly string[] = ['ALTER TABLE domains ADD COLUMN volumes INTEGER NOT NULL DEFAULT 0']
