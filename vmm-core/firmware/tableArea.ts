/** Where the tables go: low memory that the image leaves free (boot/bootArea.ts is one). */
export interface TableArea {
  /**
   * The address for `sizeBytes`: `preferred` if it is free, else another place where a scan finds what is
   * there.
   */
  place(preferred: number, sizeBytes: number, alignment?: number): number;
}
